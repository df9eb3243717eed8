"""Take over feedback stores into another; a repeat changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import StoreError
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.rows import CORNERS
from datamodules.inspection.store.schema import clear_errors
from datamodules.inspection.store.writer import StoreWriter

_DRAWS = ("confirm", "skip")  # verdicts that a drawing comes with
Key = tuple[object, ...]
OwnId = tuple[int, int]  # number of the source, and id in it


def merge_stores(target: StoreWriter, *sources: StoreWriter) -> None:
    """Add every image, run, detection, answer and map of ``sources`` to ``target``.

    Rows are the same when they say the same: an image by path and content, a run by checkpoint, data and thresholds, a
    detection of a model by image, run, class and box, an answer by its client id. Images of several sources are added
    in turn, as they were dealt to the processes that wrote them, and detections in the order of their images.

    Raises:
        StoreError: If two are one file, or the target cannot be written; then it is unchanged.
    """
    if any(target.path.resolve() == source.path.resolve() for source in sources):
        raise StoreError(f"{target.path} cannot be merged into itself: name two stores")
    rows: dict[str, list[SourceRow]] = {}
    for name in ("image", "run", "detection", "answer"):
        columns = []
        for number, source in enumerate(sources):
            with clear_errors(source.path):
                columns.append([SourceRow(number, row) for row in _rows(source, name)])
        rows[name] = [row for turn in zip_longest(*columns) for row in turn if row is not None]
    rows["answer"].sort(key=lambda row: row.source)  # what an undo takes back is in its own source
    with target.transaction():
        images = {row.own("id"): _image(target, row.row) for row in rows["image"]}
        runs = {row.own("id"): _run(target, row.row) for row in rows["run"]}
        rows["detection"].sort(key=lambda row: images[row.own("image_id")])
        detections = _detections(target, rows["detection"], rows["answer"], images, runs)
        _answers(target, rows["answer"], images, runs, detections)
    for number, source in enumerate(sources):
        _maps(target, source, *(_of_source(number, mapped) for mapped in (images, runs)))


class SourceRow(NamedTuple):
    """A row of one of several sources.

    Attributes:
        source: Number of the source.
        row: The row, whose ids are those of its source.
    """

    source: int
    row: sqlite3.Row

    def own(self, name: str) -> OwnId:
        """An id in this row, and the source that it is of."""
        return self.source, int(self.row[name])


def _of_source(number: int, mapped: dict[OwnId, int]) -> dict[int, int]:
    return {own: new for (source, own), new in mapped.items() if source == number}


def _rows(store: StoreWriter, table: str) -> list[sqlite3.Row]:
    return store.all(f"SELECT * FROM {table} ORDER BY id")


def _image(target: StoreWriter, row: sqlite3.Row) -> int:
    return target.add_image(row["path"], row["sha256"], row["width"], row["height"], row["domain"])


def _run(target: StoreWriter, row: sqlite3.Row) -> int:
    same = [row[name] for name in ("checkpoint_sha256", "data_sha256", "thresholds_json")]
    known = target.one(
        "SELECT id FROM run WHERE checkpoint_sha256 = ? AND data_sha256 = ? AND thresholds_json = ?", *same
    )
    return int(known["id"]) if known is not None else target.add("run", **_without_id(row))


def _detections(
    target: StoreWriter,
    rows: list[SourceRow],
    answers: list[SourceRow],
    images: dict[OwnId, int],
    runs: dict[OwnId, int],
) -> dict[OwnId, int]:
    """Row of each detection of the sources in the target."""
    drawn = {one.own("detection_id"): one.row["client_id"] for one in reversed(answers) if one.row["verdict"] in _DRAWS}
    there: dict[Key, list[int]] = {}
    for known in _rows(target, "detection"):
        there.setdefault(_key(known, known["run_id"], known["image_id"]), []).append(known["id"])
    mapped: dict[OwnId, int] = {}
    for one in rows:
        row, own, run_id, image_id = one.row, one.own("id"), runs[one.own("run_id")], images[one.own("image_id")]
        if row["origin"] == "operator":
            known_answer = target.answer_of(drawn.get(own, ""))
            found = [known_answer.detection_id] if known_answer is not None else []
        else:
            found = [*there.get(_key(row, run_id, image_id), [])[:1]]
            there[_key(row, run_id, image_id)] = there.get(_key(row, run_id, image_id), [])[1:]
        values = _without_id(row) | {"run_id": run_id, "image_id": image_id}
        mapped[own] = found[0] if found and found[0] is not None else target.add("detection", **values)
    return mapped


def _answers(
    target: StoreWriter,
    rows: list[SourceRow],
    images: dict[OwnId, int],
    runs: dict[OwnId, int],
    detections: dict[OwnId, int],
) -> None:
    mapped: dict[OwnId, int] = {}
    for one in rows:  # by id, so that what an undo takes back is there before it
        row, own = one.row, one.own("id")
        known = target.answer_of(row["client_id"])
        if known is not None:
            mapped[own] = known.id
            continue
        values = _without_id(row) | {"run_id": runs[one.own("run_id")], "image_id": images[one.own("image_id")]}
        if row["detection_id"] is not None:
            values["detection_id"] = detections[one.own("detection_id")]
        if row["undoes"] is not None:
            values["undoes"] = mapped[one.own("undoes")]
            if target.one("SELECT id FROM answer WHERE undoes = ?", mapped[one.own("undoes")]) is not None:
                continue  # taken back here as well
        mapped[own] = target.add("answer", **values)


def _maps(target: StoreWriter, source: StoreWriter, images: dict[int, int], runs: dict[int, int]) -> None:
    for run_id, new_run in runs.items():
        for old in sorted(source.maps_folder(run_id).glob("*.npz")):
            if old.stem.isdecimal() and int(old.stem) in images:
                _copy(old, target.map_path(new_run, images[int(old.stem)]))


def _copy(old: Path, new: Path) -> None:
    if not new.exists():
        new.parent.mkdir(parents=True, exist_ok=True)
        temporary = new.with_suffix(".part")
        shutil.copyfile(old, temporary)
        temporary.replace(new)


def _key(row: sqlite3.Row, run_id: int, image_id: int) -> Key:
    box = tuple(round(row[name], 2) for name in CORNERS)
    return (run_id, image_id, row["origin"], row["class"], *box)


def _without_id(row: sqlite3.Row) -> dict[str, Value]:
    return {name: row[name] for name in row.keys() if name != "id"}  # noqa: SIM118  # a Row iterates over values
