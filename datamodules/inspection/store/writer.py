"""What mining writes into a feedback store: images, runs, detections, and where score maps lie."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.common.errors import StoreError
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.reader import StoreReader
from datamodules.inspection.store.rows import CORNERS, Box, StoredImage

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


def clipped_box(box: Box, image: StoredImage) -> Box:
    """Part of a box that is inside its image.

    Raises:
        StoreError: If nothing is.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(image.width)), min(y2, float(image.height)))
    if not all(map(math.isfinite, inside)) or inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise StoreError(
            f"box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) lies outside {image.path} of {image.width} x {image.height} "
            "pixels, or is empty: boxes are x1, y1, x2, y2 in pixels of the upright image, x2 and y2 exclusive"
        )
    return inside


def detection_values(run_id: int, image: StoredImage, one: Detection, class_names: Sequence[str]) -> dict[str, Value]:
    """Values of a row of ``detection``.

    Raises:
        StoreError: If the box lies outside the image, or the class has no name.
    """
    if not 0 <= one.class_index < len(class_names):
        raise StoreError(
            f"a detection has class {one.class_index}, but there are {len(class_names)} class names: pass all"
        )
    corners = clipped_box(one.box, image)
    embedding = None
    if one.embedding is not None:
        import numpy as np  # the page, which writes answers alone, begins without

        embedding = np.asarray(one.embedding, dtype=np.float16).tobytes()
    return {
        "run_id": run_id,
        "image_id": image.id,
        "origin": "model",
        "class": class_names[one.class_index],
        "score": float(one.score),
        "margin": float(one.margin),
        "entropy": float(one.entropy),
        "mc_dropout": None if one.mc_dropout is None else float(one.mc_dropout),
        **dict(zip(CORNERS, corners, strict=True)),
        "rle": one.rle,
        "anchor_boxes": json.dumps([[round(float(value), 3) for value in box] for box in one.anchor_boxes]),
        "embedding": embedding,
    }
