"""A whole copy of a store while others write into it, and what can still be read of a damaged one."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from datamodules.common.atomic_write import atomic_path
from datamodules.common.errors import StoreError, number_of
from datamodules.inspection.store.file import StoreFile
from datamodules.inspection.store.schema import clear_errors

_TABLES = ("image", "run", "detection", "answer")  # each names only rows of those before
_SHOWN = 5  # lost rows that are named


def backup(store: StoreFile, target: Path) -> str:
    """Copy a store with its score maps, as it is at this moment.

    Args:
        store: An open store; others may write into it meanwhile.
        target: New file.

    Returns:
        One line that says what was copied.

    Raises:
        StoreError: If the target exists, or the store is damaged.
    """
    _require_new(target)
    store.require_whole()
    with atomic_path(target) as temporary, store.reading(), closing(sqlite3.connect(temporary)) as copy:
        store.connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        counts = [copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES]
    maps = Path(f"{store.path}.maps")
    if maps.is_dir():
        shutil.copytree(maps, Path(f"{target}.maps"), dirs_exist_ok=True)
    images, _, detections, answers = counts
    held = f"{number_of(detections, 'detection')} and {number_of(answers, 'answer')}"
    return f"{target} holds all of {number_of(images, 'image')}, {held} of {store.path}"


def recover(path: Path, target: Path) -> list[str]:
    """Take what can still be read of a damaged store into a new one.

    Rows are never removed from a store, so that every number that is missing between the first and the last is a row
    that was lost.

    Args:
        path: The damaged store; it is only read.
        target: New store.

    Returns:
        Lines that say what was kept and what was lost.

    Raises:
        StoreError: If the target exists, or nothing can be read.
    """
    _require_new(target)
    if not path.is_file():
        raise StoreError(f"there is no feedback store {path} to recover: name the damaged file")
    with clear_errors(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source:
        source.row_factory = sqlite3.Row
        there = {row[0] for row in source.execute("SELECT name FROM sqlite_master")}
        if not there.issuperset(_TABLES):
            raise StoreError(f"{path} has lost its list of tables, or is no feedback store: restore it from a copy")
        with StoreFile(target, create=True) as store, store.transaction():
            lines = [_take(source, store, table) for table in _TABLES]
    return [*lines, f"{target} is the new store; score maps stay beside the old one, mine again where they are needed"]


def _require_new(target: Path) -> None:
    if target.exists():
        raise StoreError(f"{target} is there already: name a new file")


def _take(source: sqlite3.Connection, store: StoreFile, table: str) -> str:
    """Add the readable rows of a table; a line that says how many, and which are lost."""
    kept, lost = 0, []
    for number in range(1, _last(source, table) + 1):
        try:
            row = source.execute(f"SELECT * FROM {table} NOT INDEXED WHERE id = ?", (number,)).fetchone()
            values = {name: row[name] for name in row.keys()} if row is not None else None  # noqa: SIM118  # a Row
            with store.transaction():
                if values is not None:
                    store.add(table, **values)
                    kept += 1
        except (sqlite3.Error, StoreError):  # of the damaged page, or a row that contradicts the table
            values = None
        if values is None:
            lost.append(number)
    if not lost:
        return f"{table}: all {kept} rows kept"
    named = ", ".join(map(str, lost[:_SHOWN])) + (" ..." if len(lost) > _SHOWN else "")
    return f"{table}: {kept} rows kept, {len(lost)} lost (numbers {named})"


def _last(source: sqlite3.Connection, table: str) -> int:
    """Largest number of a row that can be found, from either end of the table."""
    last = 0
    with suppress(sqlite3.Error):
        for row in source.execute(f"SELECT id FROM {table} NOT INDEXED ORDER BY id"):
            last = int(row[0])
    with suppress(sqlite3.Error):
        last = max(last, int(source.execute(f"SELECT max(id) FROM {table} NOT INDEXED").fetchone()[0] or 0))
    return min(last, 10**8)  # a damaged number is no reason to look for ever
