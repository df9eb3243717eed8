"""Shapes of Label Studio, in percent of the upright image: rectangles, polygons, ellipses and brushes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from datamodules.inspection.store.exchange.parts import ExchangedDetection, ExchangedImage, rounded
from datamodules.inspection.store.exchange.regions import (
    Point,
    Size,
    box_of,
    brush_of,
    ellipse,
    mask_of,
    mask_of_brush,
    polygons,
    rectangle,
    rectangle_box,
    rle_of,
)
from datamodules.inspection.store.rows import Box

Json = Mapping[str, Any]  # a JSON object: its values are looked at one by one

_SHAPES = ("rectangle", "polygon", "ellipse", "brush")
_OTHER_SHAPES = ("keypoint", "bitmask", "vector", "cuboid", "skeleton")


class NothingPaintedError(ValueError):
    """A shape without a pixel, such as a brush that was taken up and put down."""


@dataclass(frozen=True)
class Shape:
    """One region of an annotation or a prediction.

    Attributes:
        name: Its id; those of a prediction and of the annotation that was made from it are the same.
        label: Class that it was given.
        box: x1, y1, x2, y2 in pixels of the upright image.
        rle: Region where it is not the box.
        score: Of a prediction; None where it has none.
    """

    name: str
    label: str
    box: Box
    rle: str | None
    score: float | None


def written(one: ExchangedDetection, label: str, image: ExchangedImage) -> dict[str, object]:
    """A detection as a result: a brush where its region has pixels of its own, else a rectangle."""
    width, height = image.width, image.height
    if one.rle is not None and box_of(one.rle, (width, height)) == one.box:
        kind = "brush"
        value: dict[str, object] = {"format": "rle", "rle": brush_of(mask_of(one.rle, (width, height)))}
    else:
        x1, y1, x2, y2 = one.box
        kind = "rectangle"
        value = {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
        }
    result: dict[str, object] = {
        "id": one.name,
        "type": f"{kind}labels",
        "from_name": "label" if kind == "rectangle" else "region",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value | {f"{kind}labels": [label]},
    }
    return result if one.score is None else result | {"score": one.score}


def kind_of(one: Json) -> str | None:
    """What shape a result is; None of choices, texts and all else that has no place."""
    kind = str(one.get("type", "")).removesuffix("labels")
    if kind in (*_SHAPES, *_OTHER_SHAPES):
        return kind
    return None


def labels_of(results: Iterable[Json]) -> dict[str, tuple[str, ...]]:
    """Classes by the id of the region, whichever result gives them: shape and label may come apart."""
    found: dict[str, tuple[str, ...]] = {}
    for one in results:
        value = one.get("value") or {}
        for name, labels in value.items():
            if name.endswith("labels") and isinstance(labels, list):
                found[str(one.get("id"))] = (*found.get(str(one.get("id")), ()), *map(str, labels))
    return {name: tuple(dict.fromkeys(labels)) for name, labels in found.items()}


def shapes_of(one: Json, labels: Mapping[str, tuple[str, ...]], size: Size) -> list[Shape]:
    """Read a result that is a shape: one for each class that it was given.

    Raises:
        NothingPaintedError: If it has no pixel.
        ValueError: If it is malformed, has no class, or is of a kind that is not read.
    """
    kind, name = kind_of(one), str(one.get("id"))
    if not labels.get(name):
        raise ValueError(f"a {kind} without a label")
    if one.get("image_rotation"):
        raise ValueError(f"the image was turned by {one['image_rotation']} degrees while it was labelled; turn it back")
    value = one["value"]
    score = None if one.get("score") is None else float(one["score"])
    if kind == "rectangle":
        box, rle = _rectangle(value, size)
    else:
        rle = _region(str(kind), value, size)
        around = box_of(rle, size)
        if around is None:
            raise NothingPaintedError(f"a {kind} without a pixel inside the image")
        box = around
    return [Shape(name, label, rounded(box), rle, score) for label in labels[name]]


def _rectangle(value: Json, size: Size) -> tuple[Box, str | None]:
    """Box of a rectangle, and its region where it lies askew."""
    corner, sides = _point(value, "x", "y", size), _point(value, "width", "height", size)
    degrees = float(value.get("rotation") or 0)
    if not (sides[0] > 0 and sides[1] > 0):
        raise ValueError(f"a rectangle of {sides[0]:g}x{sides[1]:g} pixels is empty")
    x1, y1, x2, y2 = rectangle_box(corner, sides, degrees)
    if not (x1 < size[0] and y1 < size[1] and x2 > 0 and y2 > 0 and x2 - x1 < 3 * size[0] and y2 - y1 < 3 * size[1]):
        raise ValueError(f"a rectangle {x1:g},{y1:g},{x2:g},{y2:g} outside {size[0]}x{size[1]} pixels")
    if abs(degrees / 90 - round(degrees / 90)) < 1e-6:
        return (x1, y1, x2, y2), None
    rle = rle_of(rectangle(corner, sides, degrees, size))
    around = box_of(rle, size)
    if around is None:
        raise NothingPaintedError("a rectangle without a pixel inside the image")
    return around, rle


def _region(kind: str, value: Json, size: Size) -> str:
    match kind:
        case "polygon":
            return polygons([[(x * size[0] / 100, y * size[1] / 100) for x, y in value["points"]]], size)
        case "ellipse":
            radii = _point(value, "radiusX", "radiusY", size)
            return rle_of(ellipse(_point(value, "x", "y", size), radii, float(value.get("rotation") or 0), size))
        case "brush" if value.get("format", "rle") == "rle":
            return rle_of(mask_of_brush(value["rle"], size))
        case _:
            raise ValueError(f"a {kind} is not read: only {', '.join(_SHAPES)} are")


def _point(value: Json, x: str, y: str, size: Size) -> Point:
    return (float(value[x]) * size[0] / 100, float(value[y]) * size[1] / 100)
