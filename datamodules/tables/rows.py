"""Records of a table in plain text: comma, semicolon or tab between fields, decimal commas, quoted fields."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import LabelError, fail
from datamodules.tables.numbers import number_of, with_point
from datamodules.tables.text import read_text

SEPARATORS = (",", ";", "\t")
_NAMED = re.compile(r"\s*\"?sep=(.)\"?[ ,;\t]*\n")  # how Excel says what separates fields


class Row(NamedTuple):
    """One record of a table.

    Attributes:
        line: Line of the file, counted from 1, where the record ends (a quoted field may span lines).
        fields: Values without the white space around them.
    """

    line: int
    fields: tuple[str, ...]


def read_rows(
    path: str | Path, columns: Sequence[str] = (), width: int | None = None, *, exact: bool = False
) -> list[Row]:
    """Read every non-empty record of a table.

    Args:
        path: Any text that `read_text` reads; white space around fields is dropped. Fields are parted by commas,
            semicolons or tabs. Where these are no commas, numbers may have a decimal comma: a column of such numbers
            comes with points.
        columns: Names that the first record holds, by which the separator is told.
        width: Fields of a record where there is no header.
        exact: Keep white space, and ends of lines inside quotes, as they are.

    Returns:
        The records in order; never an empty list.

    Raises:
        LabelError: If the file is missing, is no text, cannot be parsed, or holds no record, or a column mixes decimal
            commas and points.
    """
    if not Path(path).exists():
        raise LabelError(f"{path}: there is no such list; check the path")
    text = read_text(path, exact=exact)
    named = _NAMED.match(text)
    body = text[named.end() :] if named else text
    separator = named[1] if named else separator_of(body, columns, width)
    rows = [row for row in _parsed(path, body, separator, 1 if named else 0, exact) if any(row.fields)]
    if not rows:
        raise LabelError(f"{path}: the list is empty; it needs at least one row")
    return rows if separator == "," else _with_points(path, rows)


def separator_of(text: str, columns: Sequence[str] = (), width: int | None = None) -> str:
    """What parts the fields of a table: the first of comma, semicolon and tab that gives the columns or the width.

    Where none does, or nothing is known, the one that gives most fields.

    Example:
        >>> separator_of("file;mos", ["file"]), separator_of("a;1,5;30;3,2", width=4)
        (';', ';')
    """
    first = next((line for line in text.split("\n", 1000) if line.strip()), "")
    fields = {mark: _fields(first, mark) for mark in SEPARATORS}
    for mark, found in fields.items():
        if (columns and set(columns) <= set(found)) or (width is not None and len(found) == width):
            return mark
    return max(SEPARATORS, key=lambda mark: len(fields[mark]))


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _parsed(path: str | Path, text: str, separator: str, before: int, exact: bool) -> list[Row]:
    """Records of a text; ``before`` lines stand above it."""
    spaces = separator != "\t" and not exact
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaces, strict=True)
    rows: list[Row] = []
    begin = before + 1
    try:
        for record in reader:
            fields = record if exact else [field.strip() for field in record]
            rows.append(Row(reader.line_num + before, tuple(fields)))
            begin = reader.line_num + before + 1
    except csv.Error as error:
        raise fail(path, begin, f"the record that begins here is not valid csv ({error}); fix the quotes") from error
    return rows


def _with_points(path: str | Path, rows: list[Row]) -> list[Row]:
    """Columns of numbers that are written with a decimal comma, written with a point; text columns stay."""
    table = [list(row.fields) for row in rows]
    for column in range(max(map(len, table))):
        filled = [(place, row[column]) for place, row in enumerate(table) if column < len(row) and row[column]]
        commas = {place: point for place, text in filled if (point := with_point(text)) is not None}
        others = [(place, text) for place, text in filled if place not in commas and place > 0]
        if not commas or any(number_of(text) is None for _, text in others):
            continue
        points = next(((place, text) for place, text in others if "." in text), None)
        if points is not None:
            place, text = points
            first = next(iter(commas))
            raise fail(
                path,
                rows[place].line,
                f"{text!r} has a decimal point, but {table[first][column]!r} in line {rows[first].line} a decimal "
                "comma; write all numbers of the column one way",
            )
        for place, text in commas.items():
            table[place][column] = text
    return [Row(row.line, tuple(fields)) for row, fields in zip(rows, table, strict=True)]
