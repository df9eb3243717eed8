"""Regions of the shapes that other tools draw, as compressed run-length strings of the COCO format and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from datamodules.inspection.store.rows import Box

Mask = NDArray[np.bool_]  # (height, width)
Point = tuple[float, float]
Size = tuple[int, int]  # width and height of the upright image in pixels

_BRUSH_RUNS = (3, 4, 8, 16)  # bits of a length in a brush that is written; the shortest that is enough is taken


def mask_of(rle: str, size: Size) -> Mask:
    """Pixels of a compressed run-length string.

    Raises:
        ValueError: If it is malformed or of another size.
    """
    counts = counts_of(require_region(rle, size))
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size).T


def require_region(rle: str, size: Size) -> str:
    """The compressed run-length string, where it is one and fills the image.

    Raises:
        ValueError: If it is malformed or of another size.
    """
    _require_full(counts_of(rle), size)
    return rle


def rle_of_counts(counts: Sequence[int], size: Size) -> str:
    """The compressed run-length string of plain run lengths, column after column, outside first.

    Raises:
        ValueError: If they are negative, or do not fill the image.
    """
    _require_full(counts, size)
    return "".join(_letters(counts))


def _require_full(counts: Sequence[int], size: Size) -> None:
    if not all(isinstance(one, int) and one >= 0 for one in counts) or sum(counts) != size[0] * size[1]:
        raise ValueError(f"run lengths that do not fill {size[0]}x{size[1]} pixels")


def rle_of(mask: Mask) -> str:
    """The compressed run-length string of a mask."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return "".join(_letters(np.diff(ends, prepend=0).tolist()))


def counts_of(rle: str) -> list[int]:
    """Run lengths of a compressed string: five bits a letter, from the third on as differences to the last but one.

    Raises:
        ValueError: If it ends early or holds a letter that none can be.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in rle:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 35:
            raise ValueError("a run-length string that is damaged")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("a run-length string that ends early")
    return counts


def _letters(counts: Sequence[int]) -> Iterator[str]:
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            code = value & 31
            value >>= 5
            more = value != (-1 if code & 16 else 0)
            yield chr((code | 32 if more else code) + 48)


def box_of(rle: str, size: Size) -> Box | None:
    """x1, y1, x2, y2 around a region of a well-formed string, x2 and y2 exclusive; None where it is empty."""
    x, y, width, height = (
        float(value) for value in coco_mask.toBbox({"size": [size[1], size[0]], "counts": rle.encode("ascii")})
    )
    return (x, y, x + width, y + height) if width and height else None


def polygons(parts: Sequence[Sequence[Point]], size: Size) -> str:
    """Pixels inside any of some polygons, which are cut off at the edges of the image, as a run-length string.

    Raises:
        ValueError: If a polygon has fewer than three points, is not finite, or lies far outside the image.
    """
    width, height = size
    flat = [[value for point in _inside(part, size) for value in point] for part in parts]
    found = [part for part in flat if len(part) >= 6]
    if not found:
        return rle_of_counts([width * height], size)
    merged = coco_mask.merge(coco_mask.frPyObjects(found, height, width))
    return str(merged["counts"].decode("ascii"))


def _inside(part: Sequence[Point], size: Size) -> list[Point]:
    if len(part) < 3:
        raise ValueError(f"a polygon of {len(part)} points")
    for place in part:
        for value, side in zip(place, size, strict=True):
            if not -side <= value <= 2 * side:  # neither what is not finite
                raise ValueError(f"a point {place[0]:g},{place[1]:g} far outside {size[0]}x{size[1]} pixels")
    points = list(part)
    for axis, limit, sign in ((0, 0.0, 1), (0, float(size[0]), -1), (1, 0.0, 1), (1, float(size[1]), -1)):
        points = list(_cut(points, axis, limit, sign))
    return points


def _cut(points: Sequence[Point], axis: int, limit: float, sign: int) -> Iterator[Point]:
    """Part of a polygon on one side of a line (Sutherland and Hodgman 1974)."""
    for before, here in zip([*points[-1:], *points[:-1]], points, strict=True):
        far, near = sign * (before[axis] - limit), sign * (here[axis] - limit)
        if far * near < 0:
            part = far / (far - near)
            crossing = [one + part * (other - one) for one, other in zip(before, here, strict=True)]
            crossing[axis] = limit
            yield (crossing[0], crossing[1])
        if near >= 0:
            yield here


def ellipse(centre: Point, radii: Point, degrees: float, size: Size) -> Mask:
    """Pixels whose middle is inside an ellipse that is turned clockwise about its centre."""
    along, across = _turned(centre, degrees, size)
    if min(radii) <= 0:
        raise ValueError("an ellipse without a radius")
    return np.asarray((along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1)


def rectangle(corner: Point, sides: Point, degrees: float, size: Size) -> Mask:
    """Pixels whose middle is inside a rectangle that is turned clockwise about its first corner."""
    along, across = _turned(corner, degrees, size)
    return np.asarray((along >= 0) & (along < sides[0]) & (across >= 0) & (across < sides[1]))


def rectangle_box(corner: Point, sides: Point, degrees: float) -> Box:
    """Box around a rectangle that is turned clockwise about its first corner."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    xs, ys = zip(
        *(
            (corner[0] + x * cosine - y * sine, corner[1] + x * sine + y * cosine)
            for x in (0.0, sides[0])
            for y in (0.0, sides[1])
        ),
        strict=True,
    )
    return (min(xs), min(ys), max(xs), max(ys))


def _turned(origin: Point, degrees: float, size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of all pixels along the two axes of a shape that is turned clockwise."""
    ys, xs = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    angle = math.radians(degrees)
    x, y = xs - origin[0], ys - origin[1]
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def mask_of_brush(data: Sequence[int], size: Size) -> Mask:
    """Pixels of a brush of Label Studio: a picture of four channels in the packing of `rle-pack`, alpha is painted.

    Raises:
        ValueError: If it is malformed or of another size; one that stops before anything is painted is empty.
    """
    if not all(isinstance(one, int) and 0 <= one < 256 for one in data):
        raise ValueError("a brush whose data are no bytes")
    if len(data) <= 4:
        return np.zeros((size[1], size[0]), bool)
    bits = _Bits(bytes(data))
    total = bits.read(32)
    if total != size[0] * size[1] * 4:
        raise ValueError(f"a brush of {total} values for {size[0]}x{size[1]} pixels of four channels")
    word = bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    place = 0
    while place < total:
        repeated = bits.read(1)
        end = place + 1 + bits.read(lengths[bits.read(2)])
        if end > total:
            raise ValueError("a brush that is damaged")
        if repeated:
            values[place:end] = min(bits.read(word), 255)
        else:
            values[place:end] = [min(bits.read(word), 255) for _ in range(end - place)]
        place = end
    return np.asarray(values.reshape(size[1], size[0], 4)[..., 3] > 0)


def brush_of(mask: Mask) -> list[int]:
    """A brush of Label Studio for a region, see `mask_of_brush`."""
    flat = np.repeat(mask.ravel(), 4)
    ends = np.flatnonzero(np.append(flat[1:] != flat[:-1], True)) + 1
    bits = [f"{flat.size:032b}{7:05b}", *(f"{one - 1:04b}" for one in _BRUSH_RUNS)]
    begin = 0
    for end in ends.tolist():
        painted = 255 if flat[begin] else 0
        while begin < end:
            length = min(end - begin, 1 << _BRUSH_RUNS[-1])
            kind = next(place for place, one in enumerate(_BRUSH_RUNS) if length <= 1 << one)
            bits.append(f"1{kind:02b}{length - 1:0{_BRUSH_RUNS[kind]}b}{painted:08b}")
            begin += length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8))


class _Bits:
    """Bits of bytes, highest first."""

    def __init__(self, data: bytes) -> None:
        self.text = f"{int.from_bytes(data):0{8 * len(data)}b}"
        self.place = 0

    def read(self, count: int) -> int:
        end = self.place + count
        if end > len(self.text):
            raise ValueError("a brush that ends early")
        value = int(self.text[self.place : end], 2)
        self.place = end
        return value
