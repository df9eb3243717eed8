"""Numbers in texts: what people write as one, and nothing else that Python takes for one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from datamodules.common.errors import LabelError, fail

# ASCII: float() also takes 1_0, digits of other scripts, nan and inf.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
_LONGEST = 400  # characters of a number


def number_of(text: str) -> float | None:
    """The finite number that a text spells out; None for any other text.

    Example:
        >>> [number_of(text) for text in ("3.50", "-1e3", "1_0", "１２", "nan", "1e400", "3,5")]
        [3.5, -1000.0, None, None, None, None, None]
    """
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def numbers_of(texts: Sequence[str]) -> list[float] | None:
    """The numbers that texts spell out, see `number_of`, fast; None if one of them is none."""
    joined = "".join(texts)
    if not joined.isascii() or "_" in joined:  # the rest of what float() takes besides is not finite
        return None
    try:
        values = list(map(float, texts))
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def whole_of(text: str) -> int | None:
    """The whole number that a text spells out, as spreadsheets write it too (``3.0``); None for any other text.

    Example:
        >>> [whole_of(text) for text in ("3", "-1", "3.0", "3.5", "1_0")]
        [3, -1, 3, None, None]
    """
    if len(text) <= _LONGEST and _WHOLE.fullmatch(text):
        return int(text)
    value = number_of(text)
    return int(value) if value is not None and value.is_integer() else None


def with_point(text: str) -> str | None:
    """A number with a decimal comma written with a point; None where the text is none.

    Example:
        >>> with_point("3,25"), with_point("1.000,5"), with_point("3.25")
        ('3.25', None, None)
    """
    return text.replace(",", ".") if _COMMA.fullmatch(text) else None


def parse_number(path: str | Path, line: int, name: str, text: str) -> float:
    """Turn text into a finite float.

    Raises:
        LabelError: If it is empty, not a number, NaN or infinite.
    """
    value = number_of(text)
    if value is None:
        raise _no_number(path, line, name, text)
    return value


def parse_numbers(path: str | Path, line: int, name: str, texts: Sequence[str]) -> list[float]:
    """Turn texts into finite floats; fast, for long lists.

    Raises:
        LabelError: As `parse_number`, for the first that is none.
    """
    values = numbers_of(texts)
    return values if values is not None else [parse_number(path, line, name, text) for text in texts]


def parse_integer(path: str | Path, line: int, name: str, text: str) -> int:
    """Turn text into an int.

    Raises:
        LabelError: If it is not a whole number.
    """
    value = whole_of(text)
    if value is None:
        raise fail(path, line, f"{name} {_shown(text)} is not a whole number")
    return value


def _no_number(path: str | Path, line: int, name: str, text: str) -> LabelError:
    shown = _shown(text)
    if with_point(text) is not None:
        return fail(path, line, f"{name} {shown} has a decimal comma; write {with_point(text)}")
    if text.strip("+-").casefold() in ("nan", "inf", "infinity") or _NUMBER.fullmatch(text):
        return fail(path, line, f"{name} {shown} is not finite; remove the row or give a number")
    return fail(path, line, f"{name} {shown} is not a number; write one, for example 3.25")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
