"""Tables of the feedback store, how its file is opened, and what SQLite's errors mean to an operator."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.common.errors import StoreError, StoreUnavailableError

VERSION = 1  # PRAGMA user_version
APPLICATION = 0x41505253  # PRAGMA application_id, "APRS": tells a store from any other SQLite file
WAIT_SECONDS = 5.0  # how long a writer waits for another one

WRITABLE = "make the file and its folder writable"
REMEDY = "restore a copy, or take what can still be read into a new store with `appraise mentor --recover FILE`"

_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

TABLES = """
CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0),
    domain INTEGER NOT NULL CHECK (domain IN (0, 1)),
    UNIQUE (path, sha256)
) STRICT;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    checkpoint_sha256 TEXT NOT NULL,
    data_sha256 TEXT NOT NULL,
    thresholds_json TEXT NOT NULL,
    created TEXT NOT NULL,
    UNIQUE (checkpoint_sha256, data_sha256, thresholds_json)
) STRICT;
CREATE TABLE detection (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    image_id INTEGER NOT NULL REFERENCES image (id),
    origin TEXT NOT NULL CHECK (origin IN ('model', 'operator')),
    class TEXT NOT NULL,
    score REAL,
    margin REAL,
    entropy REAL,
    mc_dropout REAL,
    x1 REAL NOT NULL,
    y1 REAL NOT NULL,
    x2 REAL NOT NULL CHECK (x2 > x1),
    y2 REAL NOT NULL CHECK (y2 > y1),
    rle TEXT,
    anchor_boxes TEXT NOT NULL DEFAULT '[]',
    embedding BLOB
) STRICT;
CREATE INDEX detection_of_image ON detection (run_id, image_id);
CREATE TABLE answer (
    id INTEGER PRIMARY KEY,
    client_id TEXT NOT NULL UNIQUE,
    run_id INTEGER NOT NULL REFERENCES run (id),
    image_id INTEGER NOT NULL REFERENCES image (id),
    detection_id INTEGER REFERENCES detection (id),
    scope TEXT NOT NULL CHECK (scope IN ('detection', 'image')),
    verdict TEXT NOT NULL CHECK (verdict IN ('confirm', 'reject', 'reclass', 'skip', 'healthy', 'undo')),
    class TEXT,
    annotator TEXT NOT NULL CHECK (annotator <> ''),
    milliseconds INTEGER CHECK (milliseconds >= 0),
    created TEXT NOT NULL,
    undoes INTEGER UNIQUE REFERENCES answer (id),
    CHECK ((scope = 'detection') = (detection_id IS NOT NULL)),
    CHECK ((verdict = 'undo') = (undoes IS NOT NULL))
) STRICT;
CREATE INDEX answer_of_annotator ON answer (run_id, annotator, image_id, detection_id);
CREATE INDEX answer_of_image ON answer (image_id);
CREATE TRIGGER answer_is_never_changed BEFORE UPDATE ON answer
    BEGIN SELECT RAISE(ABORT, 'answers are only ever added'); END;
CREATE TRIGGER answer_is_never_removed BEFORE DELETE ON answer
    BEGIN SELECT RAISE(ABORT, 'answers are only ever added'); END;
"""

# The answers in force: of each annotator the last one about a detection (or an image) that was not taken back.
IN_FORCE = """
SELECT max(id) FROM answer
WHERE verdict <> 'undo' AND id NOT IN (SELECT undoes FROM answer WHERE undoes IS NOT NULL) {also}
GROUP BY run_id, annotator, scope, image_id, detection_id
"""


def open_database(path: Path, *, create: bool, wait: float = WAIT_SECONDS) -> sqlite3.Connection:
    """Open a store: write-ahead log, every commit synchronised to the disk, foreign keys held.

    What may only be read is opened for reading.

    Raises:
        StoreError: If the file is missing, no store, of another version, locked, or on a full disk.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a feedback store: name a file, such as {path / 'feedback.sqlite'}")
    if not path.exists():
        if not create:
            raise StoreError(
                f"there is no feedback store {path}: mine one with `appraise predict`, or name another file"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    with clear_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{_mode(path)}",
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _prepare(connection, path, create)
        except BaseException:
            connection.close()
            raise
    return connection


def may_be_written(path: Path) -> bool:
    """Whether a store can be changed, or made: SQLite keeps a log beside it, so that its folder counts too."""
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _mode(path: Path) -> str:
    """How SQLite is to open a file: to write, or what may only be read, with its log where it has one."""
    if may_be_written(path):
        return "mode=rwc"
    log = Path(f"{path}-wal")
    return "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"  # SQLite cannot make a log there


def _prepare(connection: sqlite3.Connection, path: Path, create: bool) -> None:
    connection.row_factory = sqlite3.Row
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != APPLICATION:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] or not create:
            raise StoreError(f"{path} is an SQLite file, but no feedback store: name another file")
        connection.execute("PRAGMA journal_mode = WAL")
        _make_tables(connection)
    elif version != VERSION:
        raise StoreError(
            f"{path} is a feedback store of version {version}, this program reads version {VERSION}: "
            "use the release of appraise that wrote it, or export there and import here"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:  # another process was faster
            for statement in _statements(TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into sentences that say what to do.

    Args:
        path: The store that is used inside the block.

    Raises:
        StoreUnavailableError: If the store is locked, or the disk is full or fails.
        StoreError: For every other error of the database.
    """
    try:
        yield
    except sqlite3.Error as error:
        kind = StoreUnavailableError if _code(error) in _PASSING else StoreError
        raise kind(_sentence(path, error)) from error


def _code(error: sqlite3.Error) -> int:
    """Kind of an error: the low byte of SQLite's code, the rest is its variant; 0 where Python itself raised it."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _sentence(path: Path, error: sqlite3.Error) -> str:
    code = _code(error)
    kept = "what was saved before is unchanged"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is locked by another program; {kept}: close that program, or try again when it is done"
    if code == sqlite3.SQLITE_FULL:
        return f"the disk that holds {path} is full; {kept}: free some space, then try again"
    if code == sqlite3.SQLITE_READONLY:
        return f"{path} may only be read; {kept}: {WRITABLE}"
    if code == sqlite3.SQLITE_IOERR:
        return f"{path} could not be written or read ({error}); {kept}: look at the disk, then try again"
    if code == sqlite3.SQLITE_CANTOPEN:
        return f"{path} cannot be opened: look at its folder and its permissions"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is no feedback store, or is damaged ({error}): {REMEDY}"
    return f"{path} refused a change ({error}); {kept}"
