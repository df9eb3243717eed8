"""Text of tables as csv."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Protocol


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Text of a csv file with a header.

    Example:
        >>> csv_text(("file", "mos"), [("a.mp4", 3)]).splitlines()
        ['file,mos', 'a.mp4,3']
    """
    stream = io.StringIO(newline="")
    writer = CsvRows(stream)
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


class _Text(Protocol):
    def write(self, text: str, /) -> object: ...


class CsvRows:
    r"""Writes rows to an open text file, each ended by a line feed; one that a value holds stands in quotes.

    Args:
        stream: Opened with ``newline=""``.

    Example:
        >>> stream = io.StringIO(newline="")
        >>> CsvRows(stream).writerow(["a\rb.mp4", 1])
        >>> stream.getvalue()
        '"a\rb.mp4",1\n'
    """

    def __init__(self, stream: _Text) -> None:
        self._stream = stream
        self._rows = csv.writer(self)  # whose usual "\r\n" has it quote either of the two

    def writerow(self, row: Iterable[object]) -> None:
        """Write one row."""
        self._rows.writerow(row)

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write rows."""
        self._rows.writerows(rows)

    def write(self, line: str) -> None:
        """Take a line of the csv module."""
        self._stream.write(line.removesuffix("\r\n") + "\n")


def short_numbers(row: Iterable[object]) -> list[object]:
    """A row with six digits of each float, and an empty field for one that is NaN.

    Example:
        >>> short_numbers(["a", 3, 2 / 3, math.nan])
        ['a', 3, '0.666667', '']
    """
    return [("" if math.isnan(v) else f"{v:.6g}") if isinstance(v, float) else v for v in row]
