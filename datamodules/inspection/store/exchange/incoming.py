"""Detections and answers of other tools as a run of their own in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.store.exchange.parts import WHOEVER_IMPORTS, ExchangedDetection, ExchangedImage, said
from datamodules.inspection.store.feedback import FeedbackStore

THRESHOLD = 0.5  # of a run that was imported: its model's own are not known


def add_imported(
    store: FeedbackStore, source: Path, images: Sequence[ExchangedImage], classes: Sequence[str], annotator: str
) -> None:
    """Add imported detections as a run of their own, and their answers; a repeat changes nothing.

    Args:
        store: An open store.
        source: The file that they come from, for messages.
        images: Images whose files were found and whose sizes fit.
        classes: Names of the classes in their order.
        annotator: Name for answers that name nobody.

    Raises:
        LabelError: If there is no class, or one image is named twice.
        StoreError: If the store refuses it, or cannot be written; then nothing is taken over.
    """
    from datamodules.inspection.batch import Detection  # it imports torch, which the other commands do without

    if not classes:
        raise LabelError(f"{source} names no class: it needs the names of its classes")
    _refuse_doubles(source, images)
    digests = [file_sha256(image.path) for image in images]
    mark = hashlib.sha256(repr((list(classes), list(images))).encode()).hexdigest()
    data = hashlib.sha256("".join(digests).encode()).hexdigest()
    with store.transaction():
        run_id = store.start_run(mark, data, dict.fromkeys(classes, THRESHOLD))
        for image, digest in zip(images, digests, strict=True):
            image_id = store.add_image(image.path, digest, image.width, image.height, image.domain)
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
            _Answers(store, (run_id, image_id), f"import-{mark[:16]}-{image_id}", annotator).add(image, row_of)


def _refuse_doubles(source: Path, images: Sequence[ExchangedImage]) -> None:
    seen: set[Path] = set()
    for image in images:
        if image.path in seen:
            raise LabelError(f"{source} names {image.path} twice: join the two entries")
        seen.add(image.path)


class _Answers:
    """Adds what is said about one image."""

    def __init__(self, store: FeedbackStore, place: tuple[int, int], prefix: str, annotator: str) -> None:
        self.store = store
        self.run_id, self.image_id = place
        self.prefix = prefix
        self.annotator = annotator

    def add(self, image: ExchangedImage, rows: dict[str, int]) -> None:
        for number, one in enumerate(image.detections):
            client_id = f"{self.prefix}-{number}"
            votes = dict(one.votes)
            row = rows.get(one.name)
            if row is None:
                row = self._drawn(one, client_id, votes)
            for place, (annotator, truth) in enumerate(votes.items()):
                if truth is None and annotator in image.healthy_by and one.score is not None:
                    continue  # the flag says so
                self.store.answer(
                    client_id=f"{client_id}-{place}" if place or one.score is None else client_id,
                    run_id=self.run_id,
                    image_id=self.image_id,
                    detection_id=row,
                    verdict=said(one.shown_class, truth),
                    class_name=truth,
                    annotator=self._name(annotator),
                )
        for place, annotator in enumerate(image.healthy_by):
            self.store.answer(
                client_id=f"{self.prefix}-h{place or ''}",
                run_id=self.run_id,
                image_id=self.image_id,
                verdict="healthy",
                annotator=self._name(annotator),
            )

    def _drawn(self, one: ExchangedDetection, client_id: str, votes: dict[str, str | None]) -> int:
        """Add what was drawn, said by the first who says that it is there; the row of the detection."""
        drawer = next((name for name, truth in votes.items() if truth == one.shown_class), WHOEVER_IMPORTS)
        votes.pop(drawer, None)
        answer = self.store.add_missed(
            client_id=client_id,
            run_id=self.run_id,
            image_id=self.image_id,
            class_name=one.shown_class,
            box=one.box,
            annotator=self._name(drawer),
            rle=one.rle,
            verdict="skip" if one.is_unknown else "confirm",
        )
        row = self.store.one("SELECT detection_id FROM answer WHERE id = ?", answer)
        return 0 if row is None else int(row["detection_id"])

    def _name(self, annotator: str) -> str:
        return annotator or self.annotator
