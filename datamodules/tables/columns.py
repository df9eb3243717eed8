"""Tables whose first record names the columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from datamodules.common.errors import LabelError, fail
from datamodules.tables.rows import Row, read_rows


class Table:
    """A table whose first record names its columns.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: Columns that may be there; None allows any other.
        may_be_empty: A header alone is a table without rows, not an error.
        exact: Keep white space as it is.

    Raises:
        LabelError: If a column is missing, unknown or named twice, a record has another number of fields than the
            header, or there is no record after the header.
    """

    def __init__(
        self,
        path: str | Path,
        required: Sequence[str],
        optional: Sequence[str] | None = None,
        *,
        may_be_empty: bool = False,
        exact: bool = False,
    ) -> None:
        self.path = Path(path)
        header, *rows = read_rows(path, required, exact=exact)
        self.columns = header.fields[: _filled(header.fields)]
        width = len(self.columns)  # a spreadsheet ends every row with empty fields
        self.rows = [row if _filled(row.fields) > width else Row(row.line, row.fields[:width]) for row in rows]
        missing = [name for name in required if name not in self.columns]
        if missing:
            lacks, found = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else ""), ",".join(self.columns)[:200]
            raise fail(path, header.line, f"the header lacks {lacks} (found {found}); add the column")
        if len(set(self.columns)) != len(self.columns):
            raise fail(path, header.line, f"the header {','.join(self.columns)} names a column twice; drop one")
        unknown = [name for name in self.columns if name not in required and name not in (optional or ())]
        if unknown and optional is not None:
            allowed = ", ".join([*required, *optional])
            raise fail(path, header.line, f"unknown column {unknown[0]!r}; allowed are {allowed}")
        if not self.rows and not may_be_empty:
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


def _filled(fields: Sequence[str]) -> int:
    """Fields of a record without the empty ones at its end."""
    return max((place for place, text in enumerate(fields, start=1) if text), default=0)
