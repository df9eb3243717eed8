"""The file of a feedback store: opened once, shared by threads, changed in transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from datamodules.common.errors import StoreError
from datamodules.inspection.store.schema import REMEDY, WAIT_SECONDS, clear_errors, open_database

Value = str | int | float | bytes | None

# begin, keep, drop: of a transaction, and of a part of one
_STATEMENTS = (("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"), ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part"))


class StoreFile:
    """An open store, row by row; `FeedbackStore` gives the rows their meaning.

    Raises:
        StoreError: If the file is missing, no store, of another version, or locked.
    """

    def __init__(self, path: str | Path, *, create: bool = False, wait: float = WAIT_SECONDS) -> None:
        self.path = Path(path).expanduser().absolute()
        self._lock = threading.RLock()
        self._depth = 0
        self._answered = False
        self.connection = open_database(self.path, create=create, wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything that was saved is on the disk already."""
        with self._lock:
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Save everything inside the block at once, or nothing of it; blocks may be nested.

        Thousands of rows take a second this way, and one synchronisation of the disk each otherwise. Where answers are
        among them, all is carried over from the log into the file itself, so that a plain copy of it has every answer
        while the store is open; what is mined alone waits, since that costs a batch more than its rows.

        Raises:
            StoreError: If the file is locked, read-only, damaged, or the disk is full; nothing of the block is saved.
        """
        with self._lock, clear_errors(self.path):
            begin, save, drop = _STATEMENTS[min(self._depth, 1)]
            if self._depth and not self.connection.in_transaction:
                raise StoreError(
                    f"an error ended the changes to {self.path} before, and none of them was saved: start again"
                )
            self.connection.execute(begin)
            self._depth += 1
            try:
                yield
                self.connection.execute(save)
                self._carry_over()
            except BaseException:
                if self.connection.in_transaction:  # SQLite itself ends it on some errors, such as a full disk
                    self.connection.execute(drop)
                raise
            finally:
                self._depth -= 1

    def _carry_over(self) -> None:
        """Bring the log into the file after answers were saved."""
        if self._answered and self._depth == 1:
            self._answered = False
            with suppress(sqlite3.Error):  # what was saved is saved, in the log, whether the disk is full or not
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep other threads out, and give errors their sentence."""
        with self._lock, clear_errors(self.path):
            yield

    def require_whole(self) -> None:
        """Refuse a damaged file, of which SQLite may give a part of the rows without an error.

        Raises:
            StoreError: If its pages, its indexes or the links between its rows are damaged.
        """
        with self.reading():
            found = [str(row[0]) for row in self.connection.execute("PRAGMA integrity_check(3)")]
            if found == ["ok"]:
                found = [f"a row of {row[0]} names one of {row[2]} that is not there" for row in self._loose_ends()]
        if found:
            damage = " ".join("; ".join(found).split())
            raise StoreError(f"{self.path} is damaged ({damage}): {REMEDY}")

    def _loose_ends(self) -> list[sqlite3.Row]:
        return self.connection.execute("PRAGMA foreign_key_check").fetchall()[:3]

    def one(self, query: str, *values: Value) -> sqlite3.Row | None:
        """First row of a query, or None."""
        with self.reading():
            row: sqlite3.Row | None = self.connection.execute(query, values).fetchone()
            return row

    def all(self, query: str, *values: Value) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self.reading():
            return self.connection.execute(query, values).fetchall()

    def add(self, table: str, **values: Value) -> int:
        """Add a row and return its id; ``table`` and the names of columns are this package's own words, never input."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._answered = self._answered or table == "answer"
        with self.reading():
            cursor = self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)
