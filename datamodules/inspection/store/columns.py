"""Columns of a detection, from what a method returns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datamodules.common.errors import StoreError
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.rows import CORNERS, Box, StoredImage

if TYPE_CHECKING:  # the contract imports torch, and the page starts without
    from datamodules.inspection.batch import Detection


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
        embedding = one.embedding.detach().half().cpu().numpy().tobytes()
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
