"""The error of a command line that cannot work, and how it is said."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

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
    wrapped = error.args and isinstance(error.args[0], str) and error.args[0].startswith("Caught ")
    text, kind = str(error.args[0] if wrapped else error).strip(), type(error).__name__
    if text.startswith("Caught ") and "\n" in text:
        # After the indented frames of the last traceback: the error's class, and its message of one line or more.
        frames = text.rpartition("Traceback (most recent call last):\n")[2]
        found = re.search(r"^(?:\w+\.)*(\w+)(?:: (.*))?\Z", frames, re.MULTILINE | re.DOTALL)
        kind, text = (found[1], (found[2] or "").strip()) if found else (kind, text.splitlines()[0])
    return text or f"{kind} without a message: APPRAISE_DEBUG=1 shows where it arose"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Hint with the nearest of ``known``, or with all of them where nothing is near and they are few.

    Example:
        >>> did_you_mean("widht", ["width", "depth"]), did_you_mean("x", ["width", "depth"])
        (': did you mean width?', ': known are depth, width')
    """
    lowered = {other.lower(): other for other in sorted(known)}
    near = [lowered[other] for other in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    if near:
        return f": did you mean {' or '.join(near)}?"
    return f": known are {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
