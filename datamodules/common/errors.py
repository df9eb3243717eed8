"""Errors that a user can act on: each message says what failed, the value, what is allowed and what to do."""

from __future__ import annotations

import re
from pathlib import Path

# Control characters, ends of lines and paragraphs, marks that turn the direction of what follows, and the halves of
# characters by which Python holds bytes of a file's name that are no UTF-8.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    r"""A text that a terminal shows as it stands, in one line: what cannot be seen is an escape.

    Example:
        >>> one_line("a\nb.mp4"), one_line("caf\udce9.mp4")
        ('a\\nb.mp4', 'caf\\xe9.mp4')
    """
    return _UNSEEN.sub(_escape, text)


def number_of(count: int, noun: str) -> str:
    """A number and what it counts, in the singular where it is one.

    Example:
        >>> number_of(1, "training image"), number_of(0, "video"), number_of(2, "face")
        ('1 training image', '0 videos', '2 faces')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if "\udc80" <= letter <= "\udcff":  # a byte
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


class AppraiseError(Exception):
    """Base of every error that the package raises on purpose."""


class ConfigurationError(AppraiseError, ValueError):
    """An option has a value that cannot work, alone or together with another."""


class LabelError(AppraiseError, ValueError):
    """A label list is malformed; the message names the file and the line."""


class VideoError(AppraiseError, OSError):
    """A video cannot be opened, decoded in time, or written; the message names the file, in one line."""

    def __str__(self) -> str:
        """The message, whatever the file is called."""
        return one_line(super().__str__())


class ImageError(AppraiseError, OSError):
    """A picture cannot be read or cut; the message names the file."""


class CheckpointError(AppraiseError, RuntimeError):
    """A file of weights does not fit; the message lists the keys."""


class StoreError(AppraiseError, RuntimeError):
    """A feedback store cannot be used, or an answer contradicts what it holds; what it holds is unchanged."""


class StoreUnavailableError(StoreError):
    """The store cannot be written just now: locked, full disk, failing disk. Nothing was saved; later it may be."""


class ExportError(AppraiseError, RuntimeError):
    """A network cannot be exported, or a folder holds no export that can be run."""


def fail(path: str | Path, line: int, problem: str) -> LabelError:
    """Build the error for one line of a list: ``FILE, line N: problem``."""
    return LabelError(f"{path}, line {line}: {problem}")
