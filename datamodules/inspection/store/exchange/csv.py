"""One csv row for every answer, and for every detection without one; nothing is lost but embeddings and maps."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from datamodules.common.atomic_write import atomic_path
from datamodules.common.errors import LabelError, StoreError
from datamodules.inspection.store.exchange.cells import check_row, quoted, unquoted
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.file import Value
from datamodules.tables.columns import Table
from datamodules.tables.csv import CsvRows
from datamodules.tables.numbers import number_of, whole_of

_IMAGE = ("path", "sha256", "width", "height", "domain")
_RUN = ("checkpoint_sha256", "data_sha256", "thresholds_json", "created")
_DETECTION = (
    "id", "origin", "class", "score", "margin", "entropy", "mc_dropout", "x1", "y1", "x2", "y2", "rle", "anchor_boxes",
)  # fmt: skip
_ANSWER = ("client_id", "scope", "verdict", "class", "annotator", "milliseconds", "created", "undoes")
_TABLES = {"image": _IMAGE, "run": _RUN, "detection": _DETECTION, "answer": _ANSWER}
FIELDS = tuple(f"{table}_{name}" for table, names in _TABLES.items() for name in names)

_ROWS = f"""
SELECT {", ".join(f"{table}.{name} AS {table}_{name}" for table, names in _TABLES.items() for name in names)}
FROM {{joined}} JOIN image ON image.id = {{main}}.image_id JOIN run ON run.id = {{main}}.run_id
WHERE run.id IN ({{runs}}) {{also}} ORDER BY {{main}}.id
"""
_WHOLE = {"width", "height", "domain", "id", "milliseconds"}
_REAL = {"score", "margin", "entropy", "mc_dropout", "x1", "y1", "x2", "y2"}


def write(store: FeedbackStore, target: Path, run_ids: Sequence[int] | None) -> Path:
    """Write the table; ``answer_undoes`` holds the client id of the answer that is taken back."""
    runs = [run.id for run in store.runs()] if run_ids is None else [store.run(one).id for one in run_ids]
    names = {one.id: one.client_id for one in store.answers()}
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = CsvRows(stream)
        writer.writerow(FIELDS)
        for row in _rows(store, runs):
            values = dict(zip(FIELDS, row, strict=True))
            values["answer_undoes"] = names.get(values["answer_undoes"], "")
            writer.writerow(["" if value is None else quoted(value) for value in values.values()])
    return target


def _rows(store: FeedbackStore, runs: Sequence[int]) -> Iterator[sqlite3.Row]:
    marks = ", ".join("?" * len(runs))
    answered = _ROWS.format(
        main="answer", joined="answer LEFT JOIN detection ON detection.id = answer.detection_id", runs=marks, also=""
    )
    unanswered = _ROWS.format(
        main="detection",
        joined="detection LEFT JOIN answer ON answer.detection_id = detection.id",
        runs=marks,
        also="AND answer.id IS NULL",
    )
    yield from store.all(unanswered, *runs)
    yield from store.all(answered, *runs)


def read_into(store: FeedbackStore, source: Path) -> None:
    """Take over such a table; rows that are there already change nothing.

    Raises:
        LabelError: If a column is missing or a line is malformed; the message names line and column.
    """
    with tempfile.TemporaryDirectory() as folder, FeedbackStore(Path(folder) / "part.sqlite", create=True) as part:
        with part.transaction():
            rows = _Rows(part)
            lines = []
            for number, texts in Table(source, FIELDS, may_be_empty=True, exact=True).records(FIELDS):
                row = _moved(dict(zip(FIELDS, map(unquoted, texts), strict=True)), source.parent)
                with _line(source, number):
                    check_row(row, source.parent)
                lines.append((number, row))
            numbered = [one for one in lines if whole_of(one[1]["detection_id"]) is not None]
            for number, row in sorted(numbered, key=lambda one: int(one[1]["detection_id"])):  # numbers stay in order
                with _line(source, number):
                    rows.detection(row)
            for number, row in lines:
                with _line(source, number):
                    rows.add(row)
        part.require_whole()
        store.merge(part)


def check_store(store: FeedbackStore) -> None:
    """Check a store from elsewhere, row by row, as its table would be.

    Raises:
        StoreError: If the file is damaged.
        LabelError: If a row is malformed; the message names it.
    """
    store.require_whole()
    for number, values in enumerate(_rows(store, [run.id for run in store.runs()]), 1):
        row = {name: "" if one is None else str(one) for name, one in zip(FIELDS, values, strict=True)}
        try:
            check_row(row, store.path.parent)
        except ValueError as error:
            asked = f"detection {row['detection_id']}" if row["detection_id"] else f"answer {row['answer_client_id']}"
            raise LabelError(f"{store.path}, {asked} (row {number} of its table): {error}") from error


@contextmanager
def _line(source: Path, number: int) -> Iterator[None]:
    """Name the line of the table in which something is malformed."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, StoreError, sqlite3.Error) as error:
        raise LabelError(f"{source}, line {number}: the row is malformed ({error})") from error


def _moved(row: dict[str, str], folder: Path) -> dict[str, str]:
    """The row of an image that lies beside the table, as its path says, with its absolute path."""
    place = folder / (row["image_path"] or "")
    return row | {"image_path": str(place.absolute())} if place.is_file() else row


class _Rows:
    """Adds the rows of a table to an empty store; ids of the table become ids of the store."""

    def __init__(self, store: FeedbackStore) -> None:
        self.store = store
        self.ids: dict[tuple[str, ...], int] = {}

    def detection(self, row: Mapping[str, str]) -> dict[str, Value]:
        """Add the image, the run and the detection of a row where they are new; their numbers for an answer."""
        place: dict[str, Value] = {"run_id": self._once("run", row, _RUN), "image_id": self._once("image", row, _IMAGE)}
        detection = self._once("detection", row, ("id",), place) if row["detection_id"] else None
        return place | {"detection_id": detection}

    def add(self, row: Mapping[str, str]) -> None:
        """Add what is new in a row."""
        place = self.detection(row)
        if not row["answer_client_id"]:
            return
        values = place | _values("answer", row)
        if values["undoes"] is not None:
            values["undoes"] = self.ids["answer", str(values["undoes"])]
        self.ids["answer", row["answer_client_id"]] = self.store.add("answer", **values)

    def _once(
        self, table: str, row: Mapping[str, str], key: Sequence[str], more: Mapping[str, Value] | None = None
    ) -> int:
        same = (table, *(row[f"{table}_{name}"] for name in key))
        if same not in self.ids:
            values = {name: value for name, value in _values(table, row).items() if name != "id"}
            self.ids[same] = self.store.add(table, **values, **(more or {}))
        return self.ids[same]


def _values(table: str, row: Mapping[str, str]) -> dict[str, Value]:
    return {name: _value(name, row[f"{table}_{name}"]) for name in _TABLES[table]}


def _value(name: str, text: str) -> Value:
    if text == "":
        return None
    if name not in _WHOLE and name not in _REAL:
        return text
    value = whole_of(text) if name in _WHOLE else number_of(text)
    if value is None:
        raise ValueError(f"{name} {text!r} is no {'whole ' if name in _WHOLE else ''}number")
    return value
