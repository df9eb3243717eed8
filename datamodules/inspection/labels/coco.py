"""Instances in the format of COCO: one JSON file, or a folder of train.json, val.json and test.json.

An annotation has a box ``[x, y, w, h]`` and, optionally, a segmentation (polygons or run lengths). One with ``iscrowd``
marks an area in which nothing is known. An image that says ``answered: false``, as our own exports mark those that an
operator has not finished, is unlabelled. A JSON file has no lines worth naming, so messages name the entry.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TypeGuard, cast

from pycocotools import mask as coco_mask

from datamodules.common.errors import LabelError
from datamodules.common.splits import SPLITS, SplitName
from datamodules.images.size import check_label_size
from datamodules.inspection.batch import ORIGINAL, Box
from datamodules.inspection.labels.polygons import Point, polygon_rle, text_of
from datamodules.inspection.labels.records import RawImage, RawObject
from datamodules.summary.findings import Findings
from datamodules.tables.json import read_json

_Entry = dict[str, object]


def read_coco(
    labels: str | Path, root: str | Path | None = None, domain: int | None = None, findings: Findings | None = None
) -> list[RawImage]:
    """Read COCO instances.

    Args:
        labels: The file, or a folder with a file for each split.
        root: Folder that ``file_name`` is relative to; None means the folder of the file.
        domain: Domain of every image; None means original.
        findings: Takes what is wrong with single entries; None raises at the first.

    Raises:
        LabelError: If a file or an entry is malformed; the message names both.
    """
    place, findings = Path(labels), findings or Findings(at_once=True)
    if not place.is_dir():
        return _read_file(place, root, domain, None, findings)
    files = [(split, place / f"{split}.json") for split in SPLITS if (place / f"{split}.json").is_file()]
    if not files:
        raise LabelError(f"{place}: holds none of train.json, val.json and test.json; name the file itself")
    return [image for split, file in files for image in _read_file(file, root, domain, split, findings)]


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


def _read_file(
    file: Path, root: str | Path | None, domain: int | None, split: SplitName | None, findings: Findings
) -> list[RawImage]:
    content = _load(file)
    names = _categories(file, content)
    entries: dict[int, _Entry] = {}
    for entry in _entries(file, content, "images"):
        if entries.setdefault(_number(file, entry, "images", "id"), entry) is not entry:
            raise _wrong(file, "images", entry, "two images have this id; give each its own")
    folder = Path(root) if root is not None else file.parent
    annotations: dict[int, list[_Entry]] = defaultdict(list)
    for entry in _entries(file, content, "annotations"):
        number = _number(file, entry, "annotations", "image_id")
        if number not in entries:
            raise _wrong(file, "annotations", entry, f"image_id {number} is no image of the file; drop the annotation")
        annotations[number].append(entry)
    images = []
    for number, entry in entries.items():
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            raise _wrong(file, "images", entry, "has no file_name; write it")
        answered = entry.get("answered") is not False
        own = annotations[number] if answered else []
        size = _size(file, entry, folder / name, own, findings) if own else (0, 0)
        objects = [_object(file, annotation, names, size, findings) for annotation in own]
        images.append(
            RawImage(
                path=str((folder / name).absolute()),
                name=name,
                domain=ORIGINAL if domain is None else domain,
                source=_place(file, "images", entry),
                split=split,
                objects=tuple(item for item in objects if item is not None),
                labelled=answered,
            )
        )
    if unfinished := sum(not image.labelled for image in images):
        findings.note(
            f"{file}: {unfinished} of {len(images)} images say answered false, so their labels are not complete: they "
            "train and measure nothing"
        )
    _check_unique(images)
    return images


def _size(file: Path, entry: _Entry, image: Path, annotations: list[_Entry], findings: Findings) -> tuple[int, int]:
    """Height and width of the upright image that the annotations are for."""
    width, height = (_number(file, entry, "images", key) if entry.get(key) else 0 for key in ("width", "height"))
    source = _place(file, "images", entry)
    if not image.is_file():  # which the check of all files says
        if not width or not height:
            raise _wrong(file, "images", entry, f"has no width and height, and there is no image {image}; correct root")
        return height, width
    try:
        width, height = check_label_size(image, (width, height), source, reach=_reach(annotations))
    except LabelError as error:
        findings.fault(str(error))
    return height, width


def _reach(annotations: list[_Entry]) -> tuple[float, float]:
    """Largest x and largest y of boxes and polygons."""
    xs, ys = [0.0], [0.0]
    for entry in annotations:
        if _is_box(box := entry.get("bbox")):
            xs.append(box[0] + box[2])
            ys.append(box[1] + box[3])
        region = entry.get("segmentation")
        for flat in region if isinstance(region, list) else ():
            if _is_polygon(flat):
                xs += flat[::2]
                ys += flat[1::2]
    return max(xs), max(ys)


def _object(
    file: Path, entry: _Entry, names: dict[int, str], size: tuple[int, int], findings: Findings
) -> RawObject | None:
    """An annotation; where its box or region cannot be used the other stands in, and without both it is left out."""
    source = _place(file, "annotations", entry)
    category = _number(file, entry, "annotations", "category_id")
    if category not in names:
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        raise LabelError(f"{source}: unknown class, category_id {category}; the categories are {known}")
    rle, wrong_region = _region(source, entry.get("segmentation"), size)
    box, wrong_box = _box(entry.get("bbox"), rle, size)
    if wrong_region is not None:
        instead = "its other polygons are kept" if rle is not None else "its box stands in" if box else "left out"
        findings.entry(f"{source}: {wrong_region}", instead)
    if wrong_box is not None:
        findings.entry(f"{source}: {wrong_box}", "left out" if rle is None else "the bounds of its region stand in")
    if box is None and rle is not None:
        box = _rle_box(rle, size)
    return None if box is None else RawObject(box, None if entry.get("iscrowd") else names[category], source, rle)


def _box(value: object, rle: str | None, size: tuple[int, int]) -> tuple[Box | None, str | None]:
    """A box, and what is wrong with it."""
    if value is None and rle is not None:
        return _rle_box(rle, size), None
    if not _is_box(value):
        return None, f"bbox {value!r} must be [x, y, width, height] in pixels"
    x, y, w, h = (float(number) for number in value)
    if w <= 0 or h <= 0:
        return None, f"bbox {value!r} is empty; width and height must be above 0"
    return (x, y, x + w, y + h), None


def _rle_box(rle: str, size: tuple[int, int]) -> Box:
    x, y, w, h = (float(number) for number in coco_mask.toBbox({"size": list(size), "counts": rle.encode("ascii")}))
    return x, y, x + w, y + h


def _region(source: str, value: object, size: tuple[int, int]) -> tuple[str | None, str | None]:
    """Polygons or run lengths as one compressed string, None without a segmentation; and what is wrong with them.

    Raises:
        LabelError: If run lengths are for another size.
    """
    if not value:
        return None, None
    if isinstance(value, dict):
        if value.get("size") != list(size):
            raise LabelError(
                f"{source}: the segmentation has size {value.get('size')}, its image {list(size)} (height, width); "
                "they must agree"
            )
        if isinstance(value.get("counts"), str):
            return str(value["counts"]), None
        return text_of(coco_mask.frPyObjects(value, *size)), None
    good = [flat for flat in value if _is_polygon(flat)] if isinstance(value, list) else []
    wrong = None
    if not isinstance(value, list) or len(good) < len(value):
        wrong = "a segmentation is a list of polygons of at least three points that enclose an area, or run lengths"
    if not good:
        return None, wrong
    polygons = [cast("list[Point]", list(zip(flat[::2], flat[1::2], strict=True))) for flat in good]
    return polygon_rle(polygons, size), wrong


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
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise _wrong(file, part, entry, f"{key} {value!r} must be a whole number")
    return value


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_box(value: object) -> TypeGuard[list[float]]:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_finite, value))


def _is_polygon(flat: object) -> TypeGuard[list[float]]:
    """At least three points that do not lie on a horizontal or vertical line."""
    if not (isinstance(flat, list) and len(flat) >= 6 and len(flat) % 2 == 0 and all(map(_is_finite, flat))):
        return False
    return len(set(flat[::2])) > 1 and len(set(flat[1::2])) > 1


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
