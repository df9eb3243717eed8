"""What mining writes into a feedback store: images, runs, detections, and where score maps lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.common.errors import StoreError
from datamodules.inspection.store.columns import detection_values
from datamodules.inspection.store.reader import StoreReader

if TYPE_CHECKING:  # the contract imports torch, and the page starts without
    from datamodules.inspection.batch import Detection


class StoreWriter(StoreReader):
    """Adds what a model found; `FeedbackStore` adds what operators say about it."""

    def add_image(self, path: str | Path, sha256: str, width: int, height: int, domain: int) -> int:
        """Row of an image, added when it is new; a file that changed since is a new image."""
        place = str(Path(path).absolute())
        with self.transaction():
            row = self.one("SELECT id FROM image WHERE path = ? AND sha256 = ?", place, sha256)
            if row is None:
                return self.add("image", path=place, sha256=sha256, width=width, height=height, domain=domain)
        return int(row["id"])

    def start_run(self, checkpoint_sha256: str, data_sha256: str, thresholds: Mapping[str, float]) -> int:
        """Row of a mining run; the same checkpoint, data and thresholds are the same run."""
        if not thresholds:
            raise StoreError("a run needs the threshold of each class, but there is no class")
        text = json.dumps({name: round(float(value), 6) for name, value in thresholds.items()})
        with self.transaction():
            row = self.one(
                "SELECT id FROM run WHERE checkpoint_sha256 = ? AND data_sha256 = ? AND thresholds_json = ?",
                checkpoint_sha256,
                data_sha256,
                text,
            )
            if row is None:
                return self.add(
                    "run",
                    checkpoint_sha256=checkpoint_sha256,
                    data_sha256=data_sha256,
                    thresholds_json=text,
                    created=now(),
                )
        return int(row["id"])

    def add_detections(
        self, run_id: int, image_id: int, detections: Sequence[Detection], class_names: Sequence[str]
    ) -> list[int]:
        """Add what the model found on one image; an image that has detections of this run keeps them.

        Returns:
            Rows of the detections: the new ones, or those of before.

        Raises:
            StoreError: If a box lies outside the image or a class has no name.
        """
        image = self.image(image_id)
        with self.transaction():
            before = self.all(
                "SELECT id FROM detection WHERE run_id = ? AND image_id = ? AND origin = 'model' ORDER BY id",
                run_id,
                image_id,
            )
            if before:
                return [int(row["id"]) for row in before]
            return [self.add("detection", **detection_values(run_id, image, one, class_names)) for one in detections]

    def maps_folder(self, run_id: int) -> Path:
        """Folder of the score maps of a run, ``<store>.maps/<run>``."""
        return Path(f"{self.path}.maps") / str(run_id)

    def map_path(self, run_id: int, image_id: int) -> Path:
        """File of one score map: npz with ``score``, float16 ``(h, w)``."""
        return self.maps_folder(run_id) / f"{image_id}.npz"


def now() -> str:
    """The moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
