"""Take over one feedback store into another; a repeat changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from datamodules.common.errors import StoreError
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.rows import CORNERS
from datamodules.inspection.store.schema import clear_errors
from datamodules.inspection.store.writer import StoreWriter

Key = tuple[object, ...]


def merge_stores(target: StoreWriter, source: StoreWriter) -> None:
    """Add every image, run, detection, answer and map of ``source`` to ``target``.

    Rows are the same when they say the same: an image by path and content, a run by checkpoint, data and thresholds, a
    detection of a model by image, run, class and box, an answer by its client id.

    Raises:
        StoreError: If both are one file, or the target cannot be written; then it is unchanged.
    """
    if target.path.resolve() == source.path.resolve():
        raise StoreError(f"{target.path} cannot be merged into itself: name two stores")
    with clear_errors(source.path):
        rows = {name: _rows(source, name) for name in ("image", "run", "detection", "answer")}
    with target.transaction():
        images = {row["id"]: _image(target, row) for row in rows["image"]}
        runs = {row["id"]: _run(target, row) for row in rows["run"]}
        detections = _detections(target, rows["detection"], rows["answer"], images, runs)
        _answers(target, rows["answer"], images, runs, detections)
    _maps(target, source, images, runs)


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
    rows: list[sqlite3.Row],
    answers: list[sqlite3.Row],
    images: dict[int, int],
    runs: dict[int, int],
) -> dict[int, int]:
    """Row of each detection of the source in the target."""
    drawn = {row["detection_id"]: row["client_id"] for row in answers if row["verdict"] == "confirm"}
    there: dict[Key, list[int]] = {}
    for known in _rows(target, "detection"):
        there.setdefault(_key(known, known["run_id"], known["image_id"]), []).append(known["id"])
    mapped: dict[int, int] = {}
    for row in rows:
        run_id, image_id = runs[row["run_id"]], images[row["image_id"]]
        if row["origin"] == "operator":
            known_answer = target.answer_of(drawn.get(row["id"], ""))
            found = [known_answer.detection_id] if known_answer is not None else []
        else:
            found = [*there.get(_key(row, run_id, image_id), [])[:1]]
            there[_key(row, run_id, image_id)] = there.get(_key(row, run_id, image_id), [])[1:]
        values = _without_id(row) | {"run_id": run_id, "image_id": image_id}
        mapped[row["id"]] = found[0] if found and found[0] is not None else target.add("detection", **values)
    return mapped


def _answers(
    target: StoreWriter,
    rows: list[sqlite3.Row],
    images: dict[int, int],
    runs: dict[int, int],
    detections: dict[int, int],
) -> None:
    mapped: dict[int, int] = {}
    for row in rows:  # by id, so that what an undo takes back is there before it
        known = target.answer_of(row["client_id"])
        if known is not None:
            mapped[row["id"]] = known.id
            continue
        values = _without_id(row) | {"run_id": runs[row["run_id"]], "image_id": images[row["image_id"]]}
        if row["detection_id"] is not None:
            values["detection_id"] = detections[row["detection_id"]]
        if row["undoes"] is not None:
            values["undoes"] = mapped[row["undoes"]]
            if target.one("SELECT id FROM answer WHERE undoes = ?", mapped[row["undoes"]]) is not None:
                continue  # taken back here as well
        mapped[row["id"]] = target.add("answer", **values)


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
