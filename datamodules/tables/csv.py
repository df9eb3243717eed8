"""Text of tables as csv."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Text of a csv file with a header.

    Example:
        >>> csv_text(("file", "mos"), [("a.mp4", 3)]).splitlines()
        ['file,mos', 'a.mp4,3']
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def short_numbers(row: Iterable[object]) -> list[object]:
    """A row with six digits of each float, and an empty field for one that is NaN.

    Example:
        >>> short_numbers(["a", 3, 2 / 3, math.nan])
        ['a', 3, '0.666667', '']
    """
    return [("" if math.isnan(v) else f"{v:.6g}") if isinstance(v, float) else v for v in row]
