"""Streams that cannot be written: a pipe whose reader left, a full disk. No heavy import."""

from __future__ import annotations

import os
import select
import sys
from typing import TextIO


def silence(stream: TextIO) -> None:
    """Let what a stream cannot write go nowhere, since Python flushes it at the end and would fail again."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def reader_left() -> bool:
    """Whether it is the standard output's pipe that broke, and not one inside the command."""
    if not hasattr(select, "poll"):  # Windows, where such a pipe gives another error
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))
