"""Reading tables of comma-separated text with errors that name the file and the line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import LabelError


class Row(NamedTuple):
    """One record of a table.

    Attributes:
        line: Line of the file, counted from 1, where the record ends (a quoted field may span lines).
        fields: Values without the white space around them.
    """

    line: int
    fields: tuple[str, ...]


def read_rows(path: str | Path) -> list[Row]:
    """Read every non-empty record of a comma-separated file.

    Args:
        path: UTF-8 text, with or without a byte-order mark; white space around fields is dropped.

    Returns:
        The records in order; never an empty list.

    Raises:
        LabelError: If the file is missing, is not UTF-8 text, cannot be parsed, or holds no record.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, skipinitialspace=True, strict=True)
            rows = [Row(reader.line_num, tuple(field.strip() for field in record)) for record in reader]
    except FileNotFoundError as error:
        raise LabelError(f"{path}: there is no such list; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: the list cannot be read as UTF-8 text ({error}); save it as plain csv") from error
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not valid csv ({error}); fix the quotes") from error
    rows = [row for row in rows if any(row.fields)]
    if not rows:
        raise LabelError(f"{path}: the list is empty; it needs at least one row")
    return rows


def read_text(path: str | Path, sentence: str) -> str:
    """Text of a UTF-8 file; ``sentence`` is the error after the path, with ``{}`` for the reason.

    Raises:
        LabelError: If it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: {sentence.format(error)}") from error


def fail(path: str | Path, line: int, problem: str) -> LabelError:
    """Build the error for one line: ``FILE, line N: problem``."""
    return LabelError(f"{path}, line {line}: {problem}")


class Table:
    """A table whose first record names its columns.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: Columns that may be there; None allows any other.

    Raises:
        LabelError: If a column is missing, unknown or named twice, a record has another number of fields than the
            header, or there is no record after the header.
    """

    def __init__(self, path: str | Path, required: Sequence[str], optional: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        header, *self.rows = read_rows(path)
        self.columns = header.fields
        missing = [name for name in required if name not in self.columns]
        if missing:
            found = ",".join(self.columns)
            raise fail(path, header.line, f"the header lacks {', '.join(missing)} (found {found}); add the column")
        if len(set(self.columns)) != len(self.columns):
            raise fail(path, header.line, f"the header {','.join(self.columns)} names a column twice; drop one")
        unknown = [name for name in self.columns if name not in required and name not in (optional or ())]
        if unknown and optional is not None:
            allowed = ", ".join([*required, *optional])
            raise fail(path, header.line, f"unknown column {unknown[0]!r}; allowed are {allowed}")
        if not self.rows:
            raise LabelError(f"{path}: the list has a header but no row; add at least one")
        for row in self.rows:
            check_width(path, row, len(self.columns))

    def column(self, name: str) -> list[str]:
        """Values of one column, empty strings where the column is absent."""
        return [text for _, (text,) in self.records([name])]

    def records(self, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """Line of each record and its values of some columns, empty strings where a column is absent."""
        places = [self.columns.index(name) if name in self.columns else None for name in names]
        for row in self.rows:
            yield row.line, ["" if place is None else row.fields[place] for place in places]


def check_width(path: str | Path, row: Row, width: int) -> None:
    """Raise ``LabelError`` unless a record has ``width`` fields."""
    if len(row.fields) != width:
        raise fail(path, row.line, f"{len(row.fields)} fields, expected {width}: {','.join(row.fields)[:80]!r}")


def parse_number(path: str | Path, line: int, name: str, text: str) -> float:
    """Turn text into a finite float.

    Raises:
        LabelError: If it is empty, not a number, NaN or infinite.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise fail(path, line, f"{name} {text!r} is not a number; write one, for example 3.25") from error
    if not math.isfinite(value):
        raise fail(path, line, f"{name} {text!r} is not finite; remove the row or give a number")
    return value


def parse_integer(path: str | Path, line: int, name: str, text: str) -> int:
    """Turn text into an int.

    Raises:
        LabelError: If it is not a whole number.
    """
    try:
        return int(text)
    except ValueError as error:
        raise fail(path, line, f"{name} {text!r} is not a whole number") from error
