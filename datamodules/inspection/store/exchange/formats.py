"""Answers out of a feedback store and into it: COCO, YOLO, Label Studio JSON, csv, or another store.

| format | holds | a round trip keeps |
| --- | --- | --- |
| csv | every detection and every row of answers, undone ones too | everything but embeddings and maps |
| coco | detections with what is there according to the majority | verdicts, regions, scores |
| label-studio | boxes of the model as predictions, what is there as annotations | verdicts, boxes, scores |
| yolo | boxes of confirmed defects; healthy images have an empty file | confirmed boxes, healthy images |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from datamodules.common.errors import LabelError
from datamodules.inspection.store.exchange import coco, csv, label_studio, yolo
from datamodules.inspection.store.exchange.parts import add_imported, answered_images
from datamodules.inspection.store.feedback import FeedbackStore

Format = Literal["coco", "yolo", "label-studio", "csv"]


def export_store(store: FeedbackStore, form: Format, folder: Path, run_ids: Sequence[int] | None = None) -> list[Path]:
    """Write the answers of a store.

    Args:
        store: An open store.
        form: Format of the files.
        folder: Folder to write to; made when missing, files of an earlier export are replaced.
        run_ids: Runs to take; None takes all.

    Returns:
        The files that a reader begins with.

    Raises:
        StoreError: If the store is damaged.
    """
    store.require_whole()
    folder.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        return [csv.write(store, folder / "answers.csv", run_ids)]
    images, classes = answered_images(store, run_ids)
    writers: dict[str, Callable[..., list[Path]]] = {
        "coco": coco.write,
        "yolo": yolo.write,
        "label-studio": label_studio.write,
    }
    return writers[form](images, classes, folder)


def import_into(store: FeedbackStore, source: Path, annotator: str) -> str:
    """Take over answers, or a model's detections; a repeat changes nothing.

    Args:
        store: An open store.
        source: A store, a csv or json file of these formats, or a folder in YOLO's layout.
        annotator: Name for answers of formats that name nobody.

    Returns:
        One line that says what is in the store now.

    Raises:
        LabelError: If the format is not known or the file is malformed; nothing is taken over then.
        StoreError: If the store cannot be written.
    """
    if not source.exists():
        raise LabelError(f"there is no {source} to import: name a store, a csv or json file, or a YOLO folder")
    if source.is_file() and source.open("rb").read(15) == b"SQLite format 3":
        store.merge(source)
    elif source.suffix.lower() == ".csv":
        csv.read_into(store, source)
    elif source.is_dir():
        images, classes = yolo.read(source)
        add_imported(store, source, images, classes, annotator)
    elif source.suffix.lower() == ".json":
        content = _json(source)
        read = label_studio.read if isinstance(content, list) else coco.read
        images, classes = read(content, source)
        add_imported(store, source, images, classes, annotator)
    else:
        raise LabelError(f"{source} has no format that is known: name a store, a csv or json file, or a YOLO folder")
    detections = sum(len(store.detections(run.id)) for run in store.runs())
    return f"{store.path} holds {len(store.runs())} runs, {detections} detections and {len(store.answers())} answers"


def _json(source: Path) -> object:
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{source} is no JSON ({error}): export it again") from error
