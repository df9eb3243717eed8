"""Values as JSON and Markdown can hold them."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

log = logging.getLogger(__name__)

RowT = TypeVar("RowT")


def read_json_lines(path: Path, make: Callable[[Any], RowT], kind: str) -> list[RowT]:
    """Rows of a file with a JSON value a line; none where there is no file.

    Args:
        path: The file.
        make: Makes a row of a line's value. A line that it cannot use, as a crash cuts off the last, is left out.
        kind: What such a line is, for the log.
    """
    rows: list[RowT] = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        if not line:
            continue
        try:
            rows.append(make(json.loads(line)))
        except (json.JSONDecodeError, TypeError, KeyError):
            log.warning("%s: a line that is %s was dropped (a run was stopped while writing it)", path, kind)
    return rows


def without_nan(content: Mapping[str, object]) -> dict[str, Any]:
    """The same with null in place of what is no number, which JSON does not know.

    Example:
        >>> without_nan({"a": [1.5, float("nan")]})
        {'a': [1.5, None]}
    """
    return cast(dict[str, Any], _finite(content))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: float, digits: int = 3) -> str:
    """A number with so many digits after the point; a dash where it is NaN."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown.

    Example:
        >>> print(markdown_table(("a", "b"), [("1", "2")]), end="")
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    lines = (header, ["---"] * len(header), *rows)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
