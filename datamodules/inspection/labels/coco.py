"""Instances in the format of COCO: one JSON file, or a folder of train.json, val.json and test.json.

An annotation has a box ``[x, y, w, h]`` and, optionally, a segmentation (polygons or run lengths). One with ``iscrowd``
marks an area in which nothing is known. A JSON file has no lines worth naming, so messages name the entry.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import cast

from pycocotools import mask as coco_mask

from datamodules.common.errors import LabelError
from datamodules.common.splits import SPLITS, SplitName
from datamodules.inspection.batch import ORIGINAL, Box
from datamodules.inspection.labels.polygons import Point, polygon_rle, text_of
from datamodules.inspection.labels.records import RawImage, RawObject
from datamodules.tables.json import read_json

_Entry = dict[str, object]


def read_coco(labels: str | Path, root: str | Path | None = None, domain: int | None = None) -> list[RawImage]:
    """Read COCO instances.

    Args:
        labels: The file, or a folder with a file for each split.
        root: Folder that ``file_name`` is relative to; None means the folder of the file.
        domain: Domain of every image; None means original.

    Raises:
        LabelError: If a file or an entry is malformed; the message names both.
    """
    place = Path(labels)
    if not place.is_dir():
        return _read_file(place, root, domain, None)
    files = [(split, place / f"{split}.json") for split in SPLITS if (place / f"{split}.json").is_file()]
    if not files:
        raise LabelError(f"{place}: holds none of train.json, val.json and test.json; name the file itself")
    return [image for split, file in files for image in _read_file(file, root, domain, split)]


def coco_classes(labels: str | Path) -> list[str]:
    """Names of the categories in the order of their ids, over all files of a folder.

    Raises:
        LabelError: As in ``read_coco``.
    """
    place = Path(labels)
    found: dict[int, str] = {}
    for file in [place / f"{split}.json" for split in SPLITS] if place.is_dir() else [place]:
        if file.is_file() or not place.is_dir():
            found |= _categories(file, _load(file))
    return list(dict.fromkeys(found[number] for number in sorted(found)))


def _categories(file: Path, content: _Entry) -> dict[int, str]:
    entries = _entries(file, content, "categories")
    return {_number(file, entry, "categories", "id"): str(entry.get("name")) for entry in entries}


def _read_file(file: Path, root: str | Path | None, domain: int | None, split: SplitName | None) -> list[RawImage]:
    content = _load(file)
    names = _categories(file, content)
    entries = _entries(file, content, "images")
    sizes = {
        _number(file, entry, "images", "id"): (
            _number(file, entry, "images", "height"),
            _number(file, entry, "images", "width"),
        )
        for entry in entries
    }
    objects: dict[int, list[RawObject]] = defaultdict(list)
    for entry in _entries(file, content, "annotations"):
        number = _number(file, entry, "annotations", "image_id")
        if number not in sizes:
            raise _wrong(file, "annotations", entry, f"image_id {number} is no image of the file; drop the annotation")
        objects[number].append(_object(file, entry, names, sizes[number]))
    folder = Path(root) if root is not None else file.parent
    images = []
    for entry in entries:
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            raise _wrong(file, "images", entry, "has no file_name; write it")
        images.append(
            RawImage(
                path=str((folder / name).absolute()),
                name=name,
                domain=ORIGINAL if domain is None else domain,
                source=_place(file, "images", entry),
                split=split,
                objects=tuple(objects[_number(file, entry, "images", "id")]),
            )
        )
    _check_unique(images)
    return images


def _object(file: Path, entry: _Entry, names: dict[int, str], size: tuple[int, int]) -> RawObject:
    source = _place(file, "annotations", entry)
    category = _number(file, entry, "annotations", "category_id")
    if category not in names:
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        raise LabelError(f"{source}: unknown class, category_id {category}; the categories are {known}")
    rle = _region(source, entry.get("segmentation"), size)
    box = _box(source, entry.get("bbox"), rle, size)
    return RawObject(box, None if entry.get("iscrowd") else names[category], source, rle)


def _box(source: str, value: object, rle: str | None, size: tuple[int, int]) -> Box:
    if value is None and rle is not None:
        return _rle_box(rle, size)
    if not isinstance(value, list) or len(value) != 4 or not all(_is_finite(number) for number in value):
        raise LabelError(f"{source}: bbox {value!r} must be [x, y, width, height] in pixels")
    x, y, w, h = (float(number) for number in value)
    if w <= 0 or h <= 0:
        raise LabelError(f"{source}: bbox {value!r} is empty; width and height must be above 0")
    return x, y, x + w, y + h


def _rle_box(rle: str, size: tuple[int, int]) -> Box:
    x, y, w, h = (float(number) for number in coco_mask.toBbox({"size": list(size), "counts": rle.encode("ascii")}))
    return x, y, x + w, y + h


def _region(source: str, value: object, size: tuple[int, int]) -> str | None:
    """Polygons, plain or compressed run lengths as one compressed string; None without a segmentation."""
    if not value:
        return None
    if isinstance(value, dict):
        if value.get("size") != list(size):
            raise LabelError(
                f"{source}: the segmentation has size {value.get('size')}, its image {list(size)} (height, width); "
                "they must agree"
            )
        if isinstance(value.get("counts"), str):
            return str(value["counts"])
        return text_of(coco_mask.frPyObjects(value, *size))
    if not isinstance(value, list) or not all(_is_polygon(flat) for flat in value):
        raise LabelError(f"{source}: a segmentation is a list of polygons of at least three points, or run lengths")
    polygons = [cast("list[Point]", list(zip(flat[::2], flat[1::2], strict=True))) for flat in value]
    return polygon_rle(polygons, size)


def _load(file: Path) -> _Entry:
    if not file.exists():
        raise LabelError(f"{file}: there is no such list; check the path")
    content = read_json(file, "give a COCO file")
    if not isinstance(content, dict):
        raise LabelError(f"{file}: holds no JSON object; a COCO file has images, annotations and categories")
    return content


def _entries(file: Path, content: _Entry, part: str) -> list[_Entry]:
    entries = content.get(part)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LabelError(f"{file}: has no list {part!r}; a COCO file has images, annotations and categories")
    return entries


def _number(file: Path, entry: _Entry, part: str, key: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int):
        raise _wrong(file, part, entry, f"{key} {value!r} must be a whole number")
    return value


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_polygon(flat: object) -> bool:
    return isinstance(flat, list) and len(flat) >= 6 and len(flat) % 2 == 0 and all(map(_is_finite, flat))


def _place(file: Path, part: str, entry: _Entry) -> str:
    return f"{file}, {part} id {entry.get('id')}"


def _wrong(file: Path, part: str, entry: _Entry, problem: str) -> LabelError:
    return LabelError(f"{_place(file, part, entry)}: {problem}")


def _check_unique(images: list[RawImage]) -> None:
    first: dict[str, RawImage] = {}
    for image in images:
        other = first.setdefault(image.path, image)
        if other is not image:
            raise LabelError(f"{image.source}: {image.name!r} was already named by {other.source}; drop one of the two")
