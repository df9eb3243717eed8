"""Training images whose only labels are an operator's answers, read from the feedback store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.batch import NEW, REJECTED
from datamodules.inspection.labels.records import Answer, LabelledImage
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import EffectiveAnswer, MentoredImage

_log = logging.getLogger(__name__)


def mentored_images(
    store: str | Path,
    class_names: Sequence[str],
    runs: Sequence[int] | None = None,
    maps: str | Path | None = None,
    deployed: str | Path | None = None,
) -> list[LabelledImage]:
    """Read every new-domain image with at least one answer in force.

    Args:
        store: The feedback store.
        class_names: Classes that are trained; those of the answers must be among them.
        runs: Runs whose answers count; None takes all.
        maps: Folder of the score maps, named ``<image>.npz`` by the image's number in the store; None takes the maps of
            the newest run that the answers of an image come from. An image without a map has none.
        deployed: Checkpoint that every counted run must have been mined with; None takes any.

    Returns:
        Images of domain new and split train with ``labelled`` False, ordered by path; ``is_healthy`` is what an
        operator said of the whole image.

    Raises:
        LabelError: If there is no answer, an image changed or vanished since it was mined, an answer names an unknown
            class, or an image that is flagged healthy has a confirmed detection.
        StoreError: If the store cannot be read, has no such run, or was mined with another model than ``deployed``.
    """
    with FeedbackStore(store) as opened:
        if deployed is not None:
            checkpoint = file_sha256(deployed)
            for run in runs if runs is not None else [run.id for run in opened.runs()]:
                opened.require_run(run, checkpoint_sha256=checkpoint)
        found = [image for image in opened.mentored_images(runs) if image.domain == NEW]
        numbers = {(image.path, image.sha256): image.id for image in opened.images()}
        files = [_map_file(opened, image, numbers[image.path, image.sha256], maps) for image in found]
    if not found:
        raise LabelError(
            f"{store}: no image of the new domain has an answer in force; answer some detections first, or name other "
            "store_runs"
        )
    if lacking := files.count(None):
        _log.warning("%d of %d answered images have no stored map, so OMNIA adds no area there", lacking, len(files))
    return [_image(store, image, file, class_names) for image, file in zip(found, files, strict=True)]


def _map_file(store: FeedbackStore, image: MentoredImage, number: int, maps: str | Path | None) -> str | None:
    run_file = store.map_path(max(image.run_ids), number)
    file = run_file if maps is None else Path(maps) / run_file.name
    return str(file.absolute()) if file.is_file() else None


def _image(store: str | Path, image: MentoredImage, map_file: str | None, class_names: Sequence[str]) -> LabelledImage:
    _check_file(store, image)
    confirmed = [answer for answer in image.answers if answer.truth is not None]
    if image.is_healthy and confirmed:
        raise LabelError(
            f"{store}: image {image.path} is flagged healthy, but detection {confirmed[0].detection_id} "
            f"({confirmed[0].truth}) on it was confirmed; take one of the two answers back"
        )
    return LabelledImage(
        path=image.path,
        name=Path(image.path).name,
        domain=NEW,
        split="train",
        group=image.path,
        is_healthy=True if image.is_healthy else None,
        labelled=False,
        answers=tuple(_answer(store, image, answer, class_names) for answer in image.answers),
        baseline_map=map_file,
        source=str(store),
    )


def _check_file(store: str | Path, image: MentoredImage) -> None:
    try:
        digest = file_sha256(image.path)
    except OSError as error:
        raise LabelError(
            f"{store}: image {image.path} cannot be read ({error}); put it back where it was mined, or mine again"
        ) from error
    if digest != image.sha256:
        raise LabelError(
            f"{store}: image {image.path} changed since it was mined, so its answers may be wrong; put the old file "
            "back, or mine again and name the new run in store_runs"
        )


def _answer(store: str | Path, image: MentoredImage, answer: EffectiveAnswer, class_names: Sequence[str]) -> Answer:
    for name in (answer.shown_class, answer.truth):
        if name is not None and name not in class_names:
            raise LabelError(
                f"{store}: detection {answer.detection_id} on {image.path} has the unknown class {name!r}; the classes "
                f"are {', '.join(class_names)}; the store is of another model, name its own or correct classes"
            )
    names = list(class_names)
    return Answer(
        class_index=names.index(answer.shown_class),
        truth=REJECTED if answer.truth is None else names.index(answer.truth),
        box=answer.box,
        rle=answer.rle,
        anchor_boxes=answer.anchor_boxes,
    )
