"""The error of a command line that cannot work."""

from __future__ import annotations

import re

from datamodules.common.errors import ConfigurationError


class CommandLineError(ConfigurationError):
    """Arguments or configuration files cannot work; the process exits with code 2."""

    exit_code = 2


def one_sentence(error: BaseException) -> str:
    r"""Message of an error, never empty, without the traceback that a data loader's worker puts around it.

    Example:
        >>> header = "Caught ValueError in worker process 0.\nOriginal Traceback (most recent call last):\n"
        >>> one_sentence(ValueError(f'{header}  File "x.py", line 1, in f\n    g()\nValueError: a.mp4: bad'))
        'a.mp4: bad'
    """
    text, kind = str(error).strip(), type(error).__name__
    if text.startswith("Caught ") and "\n" in text:
        # After the indented frames of the last traceback: the error's class, and its message of one line or more.
        frames = text.rpartition("Traceback (most recent call last):\n")[2]
        found = re.search(r"^(?:\w+\.)*(\w+)(?:: (.*))?\Z", frames, re.MULTILINE | re.DOTALL)
        kind, text = (found[1], (found[2] or "").strip()) if found else (kind, text.splitlines()[0])
    return text or f"{kind} without a message: APPRAISE_DEBUG=1 shows where it arose"
