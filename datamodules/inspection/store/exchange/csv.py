"""One csv row for every answer, and for every detection without one; nothing is lost but embeddings and maps."""

from __future__ import annotations

import csv
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from datamodules.common.atomic_write import atomic_path
from datamodules.common.csv_table import CsvRows
from datamodules.common.errors import LabelError, StoreError
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.file import Value

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
            writer.writerow(["" if value is None else value for value in values.values()])
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
        LabelError: If a column is missing or a line is malformed; the message names the line.
    """
    with tempfile.TemporaryDirectory() as folder, FeedbackStore(Path(folder) / "part.sqlite", create=True) as part:
        with part.transaction(), source.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in FIELDS if name not in (reader.fieldnames or ())]
            if missing:
                raise LabelError(f"{source} lacks the column {missing[0]}: it must come from `--export csv`")
            rows = _Rows(part)
            for row in reader:
                try:
                    rows.add(row)
                except (ValueError, KeyError, TypeError, StoreError, sqlite3.Error) as error:
                    raise LabelError(f"{source}, line {reader.line_num}: the row is malformed ({error})") from error
        store.merge(part)


class _Rows:
    """Adds the rows of a table to an empty store; ids of the table become ids of the store."""

    def __init__(self, store: FeedbackStore) -> None:
        self.store = store
        self.ids: dict[tuple[str, ...], int] = {}

    def add(self, row: Mapping[str, str]) -> None:
        image = self._once("image", row, _IMAGE)
        run = self._once("run", row, _RUN)
        place: dict[str, Value] = {"run_id": run, "image_id": image}
        detection = None
        if row["detection_id"]:
            detection = self._once("detection", row, ("id",), place)
        if not row["answer_client_id"]:
            return
        values = place | _values("answer", row) | {"detection_id": detection}
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
    if name in _WHOLE:
        return int(text)
    return float(text) if name in _REAL else text
