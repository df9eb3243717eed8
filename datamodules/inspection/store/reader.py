"""Rows of a feedback store as values."""

from __future__ import annotations

from datamodules.common.errors import StoreError
from datamodules.inspection.store.file import StoreFile
from datamodules.inspection.store.rows import (
    StoredAnswer,
    StoredDetection,
    StoredImage,
    StoredRun,
    answer_of,
    detection_of,
    run_of,
)

_DETECTION = (
    "id, run_id, image_id, origin, class, score, margin, entropy, mc_dropout, x1, y1, x2, y2, rle, anchor_boxes"
)


class StoreReader(StoreFile):
    """What is in a store; `FeedbackStore` adds to it."""

    def runs(self) -> list[StoredRun]:
        """All runs, oldest first."""
        return [run_of(row) for row in self.all("SELECT * FROM run ORDER BY id")]

    def run(self, run_id: int | None = None) -> StoredRun:
        """One run; None takes the newest.

        Raises:
            StoreError: If there is none.
        """
        row = self.one("SELECT * FROM run WHERE id = ifnull(?, (SELECT max(id) FROM run))", run_id)
        if row is None:
            there = ", ".join(str(one.id) for one in self.runs()) or "none"
            raise StoreError(
                f"{self.path} has no run {'' if run_id is None else run_id} (there are: {there}): mine one"
            )
        return run_of(row)

    def require_run(self, run_id: int, *, checkpoint_sha256: str | None = None, data_sha256: str | None = None) -> None:
        """Refuse a run of another model or another state of the data, by their SHA-256; None takes any.

        Raises:
            StoreError: If they differ; the message says which.
        """
        run = self.run(run_id)
        if checkpoint_sha256 not in (None, run.checkpoint_sha256):
            raise StoreError(
                f"run {run_id} of {self.path} was mined by another model (checkpoint {run.checkpoint_sha256[:12]}, not "
                f"{str(checkpoint_sha256)[:12]}): mine again with this one, or name the run of this model"
            )
        if data_sha256 not in (None, run.data_sha256):
            raise StoreError(
                f"run {run_id} of {self.path} was mined from another version of the data ({run.data_sha256[:12]}, not "
                f"{str(data_sha256)[:12]}): mine again, or put the images back as they were"
            )

    def image(self, image_id: int) -> StoredImage:
        """One image.

        Raises:
            StoreError: If there is none of this id.
        """
        row = self.one("SELECT * FROM image WHERE id = ?", image_id)
        if row is None:
            raise StoreError(f"there is no image {image_id} in {self.path}: reload the page")
        return StoredImage(**dict(row))

    def images(self, run_id: int | None = None) -> list[StoredImage]:
        """All images, or those with a detection or an answer of one run, by id."""
        rows = self.all(
            "SELECT * FROM image WHERE ?1 IS NULL OR id IN (SELECT image_id FROM detection WHERE run_id = ?1"
            " UNION SELECT image_id FROM answer WHERE run_id = ?1) ORDER BY id",
            run_id,
        )
        return [StoredImage(**dict(row)) for row in rows]

    def detection(self, detection_id: int) -> StoredDetection:
        """One detection.

        Raises:
            StoreError: If there is none of this id.
        """
        row = self.one(f"SELECT {_DETECTION} FROM detection WHERE id = ?", detection_id)
        if row is None:
            raise StoreError(f"there is no detection {detection_id} in {self.path}: reload the page")
        return detection_of(row)

    def detections(self, run_id: int, image_id: int | None = None) -> list[StoredDetection]:
        """Detections of a run, on all images or on one, by id; those of operators too."""
        where = "run_id = ?" if image_id is None else "run_id = ? AND image_id = ?"
        values = (run_id,) if image_id is None else (run_id, image_id)
        return [
            detection_of(row)
            for row in self.all(f"SELECT {_DETECTION} FROM detection WHERE {where} ORDER BY id", *values)
        ]

    def answers(self, run_id: int | None = None) -> list[StoredAnswer]:
        """Every row of the table of answers, undone ones and undos too, in the order they were given."""
        where, values = ("", ()) if run_id is None else ("WHERE run_id = ?", (run_id,))
        return [answer_of(row) for row in self.all(f"SELECT * FROM answer {where} ORDER BY id", *values)]

    def answer_of(self, client_id: str) -> StoredAnswer | None:
        """The answer that was sent under a client id."""
        row = self.one("SELECT * FROM answer WHERE client_id = ?", client_id)
        return None if row is None else answer_of(row)

    def recent_answers(self, run_id: int, annotator: str, limit: int = 20) -> list[StoredAnswer]:
        """The annotator's last answers that were not taken back, newest first."""
        rows = self.all(
            "SELECT * FROM answer WHERE run_id = ? AND annotator = ? AND verdict <> 'undo'"
            " AND id NOT IN (SELECT undoes FROM answer WHERE undoes IS NOT NULL) ORDER BY id DESC LIMIT ?",
            run_id,
            annotator,
            limit,
        )
        return [answer_of(row) for row in rows]
