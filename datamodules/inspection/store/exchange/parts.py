"""What the exchange formats share: detections with their answers, by image."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datamodules.common.errors import LabelError
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import Box, EffectiveAnswer, StoredDetection, StoredImage

Said = Literal["confirm", "reject", "reclass"]
THRESHOLD = 0.5  # of a run that was imported: its model's own are not known


@dataclass(frozen=True)
class ExchangedDetection:
    """A detection and what is there.

    Attributes:
        name: Unique within its file.
        shown_class: Class that it was shown as; for a drawn one its class.
        box: x1, y1, x2, y2 in pixels of the upright image, x2 and y2 exclusive.
        score: 0..1; None where no model found it: then it was drawn and confirmed.
        verdict: Answer; None where there is none.
        truth: Class that is there; None where no defect is, or nothing is known.
        rle: Region as a compressed run-length string of the COCO format.
    """

    name: str
    shown_class: str
    box: Box
    score: float | None
    verdict: Said | None
    truth: str | None
    rle: str | None = None


@dataclass
class ExchangedImage:
    """An image with its detections.

    Attributes:
        path: Absolute path.
        width: Pixels of the upright image; 0 where the format does not say.
        height: Likewise.
        domain: 0 original, 1 new.
        healthy: Whether it was flagged free of defects.
        detections: All of them.
    """

    path: Path
    width: int = 0
    height: int = 0
    domain: int = 1
    healthy: bool = False
    detections: list[ExchangedDetection] = field(default_factory=list)


def answered_images(store: FeedbackStore, run_ids: Sequence[int] | None) -> tuple[list[ExchangedImage], list[str]]:
    """Images with a detection or an answer, by path, and the names of all classes in the models' order."""
    runs = [store.run(one) for one in run_ids] if run_ids is not None else store.runs()
    mentored = store.mentored_images([run.id for run in runs])
    answers = {one.detection_id: one for image in mentored for one in image.answers}
    healthy = {(image.path, image.sha256) for image in mentored if image.is_healthy}
    found: dict[int, list[StoredDetection]] = defaultdict(list)
    shown: dict[int, StoredImage] = {}
    for run in runs:
        for image in store.images(run.id):
            shown[image.id] = image
            found[image.id] += store.detections(run.id, image.id)
    images = [
        ExchangedImage(
            path=Path(image.path),
            width=image.width,
            height=image.height,
            domain=image.domain,
            healthy=(image.path, image.sha256) in healthy,
            detections=[
                _exchanged(one, answers.get(one.id))
                for one in found[image.id]
                if one.origin == "model" or one.id in answers  # a drawing that was taken back is left out
            ],
        )
        for image in sorted(shown.values(), key=lambda one: one.path)
    ]
    return images, list(dict.fromkeys(name for run in runs for name in run.class_names))


def said(shown: str, truth: str | None) -> Said:
    """The answer to a detection, from the class that it was shown as and the one that is there."""
    return "reject" if truth is None else "confirm" if truth == shown else "reclass"


@contextmanager
def well_formed(source: Path, problem: str) -> Iterator[None]:
    """Say what a file lacks where reading its JSON stumbles: ``problem``, with ``{}`` for the reason.

    Raises:
        LabelError: If it stumbles.
    """
    try:
        yield
    except LabelError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(f"{source} {problem.format(repr(error))}") from error


def _exchanged(one: StoredDetection, answer: EffectiveAnswer | None) -> ExchangedDetection:
    truth = None if answer is None else answer.truth
    verdict = None if answer is None else said(one.shown_class, truth)
    return ExchangedDetection(f"d{one.id}", one.shown_class, one.box, one.score, verdict, truth, one.rle)


def add_imported(
    store: FeedbackStore, source: Path, images: Sequence[ExchangedImage], classes: Sequence[str], annotator: str
) -> None:
    """Add imported detections as a run of their own, and their answers; a repeat changes nothing.

    Raises:
        LabelError: If an image is missing, of another size, or healthy and defective at once.
        StoreError: If the store refuses it, or cannot be written; then nothing is taken over.
    """
    from datamodules.inspection.batch import Detection  # it imports torch, which the other commands do without

    read = [_read(image, source) for image in images]
    mark = hashlib.sha256(repr((classes, images)).encode()).hexdigest()
    data = hashlib.sha256("".join(digest for digest, _, _ in read).encode()).hexdigest()
    with store.transaction():
        run_id = store.start_run(mark, data, dict.fromkeys(classes, THRESHOLD))
        for image, (digest, width, height) in zip(images, read, strict=True):
            image_id = store.add_image(image.path, digest, width, height, image.domain)
            found = [one for one in image.detections if one.score is not None]
            rows = store.add_detections(
                run_id,
                image_id,
                [
                    Detection(classes.index(one.shown_class), score, one.box, score - THRESHOLD, 0.0, rle=one.rle)
                    for one in found
                    if (score := one.score) is not None
                ],
                classes,
            )
            row_of = dict(zip((one.name for one in found), rows, strict=True))
            _answer(store, image, (run_id, image_id), row_of, f"import-{mark[:16]}-{image_id}", annotator)


def _answer(
    store: FeedbackStore,
    image: ExchangedImage,
    place: tuple[int, int],
    rows: dict[str, int],
    prefix: str,
    annotator: str,
) -> None:
    run_id, image_id = place
    for number, one in enumerate(image.detections):
        client_id = f"{prefix}-{number}"
        if one.name not in rows:
            store.add_missed(
                client_id=client_id,
                run_id=run_id,
                image_id=image_id,
                class_name=one.truth or one.shown_class,
                box=one.box,
                annotator=annotator,
            )
        elif one.verdict is not None:
            store.answer(
                client_id=client_id,
                run_id=run_id,
                image_id=image_id,
                detection_id=rows[one.name],
                verdict=one.verdict,
                class_name=one.truth,
                annotator=annotator,
            )
    if image.healthy:
        store.answer(client_id=f"{prefix}-h", run_id=run_id, image_id=image_id, verdict="healthy", annotator=annotator)


def _read(image: ExchangedImage, source: Path) -> tuple[str, int, int]:
    """Digest, width and height of an image file; the size must be the one that the labels were made for."""
    from datamodules.images.size import picture_size  # Pillow is for imports alone

    width, height = picture_size(image.path, str(source))
    if (image.width or width, image.height or height) != (width, height):
        raise LabelError(
            f"{source}: {image.path} is {width} x {height} pixels, but its labels are for {image.width} x "
            f"{image.height}: give the images that were labelled"
        )
    return hashlib.sha256(image.path.read_bytes()).hexdigest(), width, height


def find_image(name: str, folder: Path, source: Path) -> Path:
    """Absolute path of an image that a file names: absolute, beside the file, or in ``images`` beside it.

    Raises:
        LabelError: If it is at none of these places.
    """
    for place in (Path(name), folder / name, folder / "images" / name, folder.parent / "images" / name):
        if place.is_absolute() and place.is_file():
            return place
        if place.is_file():
            return place.absolute()
    raise LabelError(f"{source}: there is no image {name}: write its absolute path, or put it beside the file")


def pixels(box: Sequence[float]) -> Box:
    """Four numbers as a box."""
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1, y1, x2, y2)
