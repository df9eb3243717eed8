"""Answers out of a feedback store and into it: COCO, YOLO, Label Studio JSON, csv, or another store.

| format | holds | a round trip keeps |
| --- | --- | --- |
| csv | every detection and every row of answers, undone ones too | everything but embeddings and maps |
| coco | detections with what is there according to the majority | verdicts, boxes, regions, scores, crowds |
| label-studio | the model's regions as predictions, each annotator's as annotations | votes, boxes or regions, scores |
| yolo | boxes of confirmed defects; healthy images have an empty file | confirmed boxes, healthy images |
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from datamodules.common.errors import LabelError, number_of
from datamodules.inspection.store.exchange import coco, csv, label_studio, yolo
from datamodules.inspection.store.exchange.finding import ImageFinder
from datamodules.inspection.store.exchange.incoming import add_imported
from datamodules.inspection.store.exchange.outgoing import answered_images
from datamodules.inspection.store.exchange.parts import BadEntries, ExchangedImage, OnError
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.tables.json import read_json

Format = Literal["coco", "yolo", "label-studio", "csv"]

_log = logging.getLogger(__name__)

_OPEN = {  # what becomes of images that are not answered
    "coco": "they say `answered: false`, and other tools may take what is not answered for healthy",
    "yolo": "those without a confirmed defect are left out, the others hold what is confirmed alone",
    "label-studio": "they stand there as they are",
}


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
    open_ = sum(not one.is_answered for one in (map(coco.held, images) if form == "coco" else images))
    if open_:
        _log.warning(
            "%d of %d images hold detections that nobody answered, or that people disagree on: %s",
            open_,
            len(images),
            _OPEN[form],
        )
    writers: dict[str, Callable[..., list[Path]]] = {
        "coco": coco.write,
        "yolo": yolo.write,
        "label-studio": label_studio.write,
    }
    return writers[form](images, classes, folder)


def import_into(
    store: FeedbackStore, source: Path, annotator: str, *, root: Path | None = None, on_error: OnError = "fail"
) -> str:
    """Take over answers, or a model's detections; a repeat changes nothing.

    Args:
        store: An open store.
        source: A store, a csv or json file of these formats, or a folder in YOLO's layout or its ``data.yaml``.
        annotator: Name for answers of formats that name nobody.
        root: Folder below which images are looked for first; None: where the file says, and beside it.
        on_error: ``skip`` leaves out entries that are bad, and names them; ``fail`` takes nothing over.

    Returns:
        Lines that say what was left out, and what is in the store now.

    Raises:
        LabelError: If the format is not known or the file is malformed; nothing is taken over then.
        StoreError: If the store cannot be written.
    """
    if not source.exists():
        raise LabelError(f"there is no {source} to import: name a store, a csv or json file, or a YOLO folder")
    if not source.is_file() and not source.is_dir():
        raise LabelError(f"{source} is no regular file: name a store, a csv or json file, or a YOLO folder")
    if source.suffix.lower() in (".yaml", ".yml"):  # what a YOLO folder begins with
        source = source.parent
    elif source.is_dir() and not (source / "labels").exists():  # what an export wrote
        found = (source / name for name in ("answers.csv", "annotations.json", "tasks.json"))
        source = next((file for file in found if file.is_file()), source)
    bad = BadEntries(source, on_error)
    if source.is_file() and source.open("rb").read(15) == b"SQLite format 3":
        with FeedbackStore(source) as other:
            csv.check_store(other)
            store.merge(other)
    elif source.suffix.lower() == ".csv":
        csv.read_into(store, source)
    else:
        images, classes = _read(source, ImageFinder(source, root), bad)
        notes = bad.settle()
        add_imported(store, source, images, classes, annotator)
        bad.notes = notes
    detections = sum(len(store.detections(run.id)) for run in store.runs())
    counts = [number_of(len(store.runs()), "run"), number_of(detections, "detection")]
    held = f"{store.path} holds {', '.join(counts)} and {number_of(len(store.answers()), 'answer')}"
    agreement = store.agreement()
    shared = f"{agreement.questions} questions answered by two or more, {agreement.unanimous} of them alike"
    return "\n".join([*bad.notes, held, *([shared] if agreement.questions else [])])


def _read(source: Path, finder: ImageFinder, bad: BadEntries) -> tuple[list[ExchangedImage], list[str]]:
    if source.is_dir():
        return yolo.read(source, finder, bad)
    if source.suffix.lower() != ".json":
        raise LabelError(f"{source} has no format that is known: name a store, a csv or json file, or a YOLO folder")
    content = _json(source)
    read = label_studio.read if isinstance(content, list) else coco.read
    return read(content, finder, bad)


def _json(source: Path) -> object:
    content = read_json(source, "export it again")
    if b"\\ud" in source.read_bytes().lower():  # a half of a pair, which no file or store can hold
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise LabelError(f"{source} holds text that is no Unicode ({error}): export it again") from error
    return content
