"""Polygons as boxes and as run-length strings."""

from __future__ import annotations

from collections.abc import Sequence

from pycocotools import mask as coco_mask

from datamodules.inspection.batch import Box

Point = tuple[float, float]


def polygon_box(points: Sequence[Point]) -> Box:
    """Bounds of the points, x1, y1, x2, y2."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def polygon_rle(polygons: Sequence[Sequence[Point]], size: tuple[int, int]) -> str:
    """Pixels inside any of the polygons as a compressed run-length string of the COCO format.

    Args:
        polygons: Each with at least three points in pixels.
        size: Height and width of the image.
    """
    height, width = size
    flat = [[value for point in points for value in point] for points in polygons]
    return text_of(coco_mask.merge(coco_mask.frPyObjects(flat, height, width)))


def text_of(rle: dict[str, object]) -> str:
    """The string inside pycocotools' mapping."""
    counts = rle["counts"]
    return counts.decode("ascii") if isinstance(counts, bytes) else str(counts)
