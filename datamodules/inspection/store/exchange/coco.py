"""COCO's object detection format: confirmed defects as annotations, all else under keys that other readers pass over.

An annotation with a ``score`` was found by a model, one without was drawn; of a crowd nothing is known. Our own files
add ``verdict`` and ``shown_class``; ``rejected`` and ``open`` hold the detections that were rejected and those without
an answer, and an image that still has some of these says ``answered: false``.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datamodules.common.atomic_write import write_text
from datamodules.images.size import check_label_size
from datamodules.inspection.store.exchange.finding import ImageFinder
from datamodules.inspection.store.exchange.parts import (
    WHOEVER_IMPORTS,
    BadEntries,
    ExchangedDetection,
    ExchangedImage,
    rounded,
    said,
    well_formed,
)
from datamodules.inspection.store.exchange.regions import (
    Point,
    Size,
    box_of,
    counts_of,
    polygons,
    require_region,
    rle_of_counts,
)
from datamodules.inspection.store.rows import Box

NAME = "annotations.json"
_GROUPS = ("annotations", "rejected", "open")
_ABOUT = (
    "Answers of an operator, written by appraise. Images with answered false still hold questions, which stand under "
    "open: leave these images out where whole labels are needed. What stands under rejected is no defect."
)
Json = Mapping[str, Any]  # a JSON object: its values are looked at one by one


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write ``annotations.json``."""
    content: dict[str, list[dict[str, object]]] = {name: [] for name in ("images", "categories", *_GROUPS)}
    content["categories"] = [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, 1)
    ]
    kept = [one for one in map(held, images) if one.detections or one.healthy_by]
    for number, image in enumerate(kept, 1):
        content["images"].append(
            {
                "id": number,
                "file_name": str(image.path),
                "width": image.width,
                "height": image.height,
                "domain": image.domain,
                "healthy": bool(image.healthy_by),
                "answered": image.is_answered,
            }
        )
        for one in image.detections:
            group = _group(one)
            place = sum(len(content[name]) for name in _GROUPS) + 1
            content[group].append({"id": place, "image_id": number} | _annotation(one, image, classes))
    head = {"info": {"description": _ABOUT, "version": "1.0", "contributor": "appraise"}, "licenses": []}
    write_text(folder / NAME, json.dumps(head | content, indent=1))
    return [folder / NAME]


def held(image: ExchangedImage) -> ExchangedImage:
    """What the format can say of an image.

    Of a drawing that is disputed nothing is known, one that is not, is not; an image is no healthy one for some as long
    as others see a defect.
    """
    kept = [
        replace(one, is_unknown=one.is_unknown or (one.score is None and one.verdict is None))
        for one in image.detections
        if one.score is not None or one.verdict != "reject"
    ]
    disputed = any(one.score is not None and one.verdict is None for one in kept)
    return replace(image, detections=kept, healthy_by=() if disputed else image.healthy_by)


def _group(one: ExchangedDetection) -> str:
    if one.is_unknown:
        return "annotations"  # as a crowd
    return "open" if one.verdict is None else "rejected" if one.truth is None else "annotations"


def _annotation(one: ExchangedDetection, image: ExchangedImage, classes: Sequence[str]) -> dict[str, object]:
    x1, y1, x2, y2 = one.box
    values: dict[str, object] = {
        "category_id": classes.index(one.truth or one.shown_class) + 1,
        "bbox": rounded((x1, y1, x2 - x1, y2 - y1)),
        "area": round((x2 - x1) * (y2 - y1), 3),
        "iscrowd": int(one.is_unknown),
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        "shown_class": one.shown_class if one.score is not None else one.truth or one.shown_class,
        "verdict": one.verdict,
    }
    if one.rle is not None:
        values["area"] = sum(counts_of(one.rle)[1::2])
        values["segmentation"] = {"size": [image.height, image.width], "counts": one.rle}
    return values if one.score is None else values | {"score": one.score}


def read(content: object, finder: ImageFinder, bad: BadEntries) -> tuple[list[ExchangedImage], list[str]]:
    """Read a COCO file, ours or another's.

    Raises:
        LabelError: If a part is missing.
    """
    with well_formed(
        bad.source,
        "is no COCO file of detections ({}): it needs images (id, file_name), categories (id, name) and annotations "
        "(image_id, category_id, bbox)",
    ):
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} where an object belongs")
        names = {int(one["id"]): str(one["name"]) for one in content["categories"]}
        entries = {int(one["id"]): one for one in content["images"]}
        of_image: dict[int, list[tuple[str, str, Json]]] = defaultdict(list)
        for group in _GROUPS:
            for number, one in enumerate(content.get(group) or []):
                place = f"{group} id {one.get('id', f'(entry {number + 1})')}"
                of_image[int(one["image_id"])].append((place, group, one))
    for number in of_image.keys() - entries.keys():
        bad.found.append(f"{of_image[number][0][0]}: image_id {number} is no image of the file")
    images = []
    for number, entry in entries.items():
        with bad.entry(f"images id {number}"):
            images.append(_image(entry, of_image[number], names, finder, bad))
    return images, list(dict.fromkeys(names.values()))


def _image(
    entry: Json,
    annotations: list[tuple[str, str, Json]],
    names: Mapping[int, str],
    finder: ImageFinder,
    bad: BadEntries,
) -> ExchangedImage:
    path = finder.find(str(entry["file_name"]))
    stated = (int(entry.get("width") or 0), int(entry.get("height") or 0))
    size = check_label_size(path, stated, reach=_reach(one for _, _, one in annotations))
    healthy = (WHOEVER_IMPORTS,) if entry.get("healthy") is True else ()
    image = ExchangedImage(path, *size, _domain(entry), healthy)
    for place, group, one in annotations:
        with bad.entry(place):
            image.detections.append(_detection(one, names, group, place, size, bad))
    if healthy and any(one.truth is not None for one in image.detections):
        raise ValueError("it is flagged healthy and has a defect; drop one of the two")
    return image


def _domain(entry: Json) -> int:
    domain = entry.get("domain", 1)
    if domain not in (0, 1):
        raise ValueError(f"domain {domain!r} must be 0 (original) or 1 (new)")
    return int(domain)


def _reach(annotations: Iterable[Json]) -> tuple[float, float]:
    """Largest x and y of the boxes that are numbers; others are found fault with later."""
    far = [(0.0, 0.0)]
    for one in annotations:
        box = one.get("bbox")
        if isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box):
            far.append((float(box[0] + box[2]), float(box[1] + box[3])))
    return (max(x for x, _ in far), max(y for _, y in far))


def _detection(
    one: Json, names: Mapping[int, str], group: str, name: str, size: Size, bad: BadEntries
) -> ExchangedDetection:
    category = int(one["category_id"])
    if category not in names:
        raise ValueError(f"category_id {category} is no category of the file")
    shown = str(names[category] if one.get("score") is None else one.get("shown_class", names[category]))
    if shown not in names.values():
        raise ValueError(f'shown_class "{shown}" is no category of the file')
    score = None if one.get("score") is None else float(one["score"])
    if score is not None and one.get("verdict") is None:
        group = "open"  # another's prediction is still to be asked about
    is_unknown = bool(one.get("iscrowd")) and group == "annotations"
    truth = names[category] if group == "annotations" and not is_unknown else None
    if score is None and group != "annotations":
        raise ValueError(f"a detection that is {group} needs the score of the model that found it")
    if score is not None and not 0 <= score <= 1:
        raise ValueError(f"score {score:g} lies outside 0..1")
    box, region = _place(one, size, name, bad)
    votes = {} if group == "open" or is_unknown else {WHOEVER_IMPORTS: truth}
    if votes and truth is None and said(shown, truth) != one.get("verdict", "reject"):
        raise ValueError(f"verdict {one.get('verdict')!r} is not that of a rejected detection")
    return ExchangedDetection(name, shown, box, score, votes, region, is_unknown)


def _place(one: Json, size: Size, name: str, bad: BadEntries) -> tuple[Box, str | None]:
    """Box, and region where it is not the box itself; each stands in for the other where that is bad."""
    box = region = wrong_box = None
    try:
        box = None if one.get("bbox") is None else _box(one["bbox"], size)
    except (ValueError, TypeError) as error:
        wrong_box = str(error)
    try:
        region, wrong = _region(one.get("segmentation"), size)
    except (ValueError, TypeError, LookupError) as error:
        wrong = str(error)
    around = None if region is None else box_of(region, size)
    if around is None:
        wrong = wrong or (None if region is None else "the segmentation is empty")
        if box is None:
            raise ValueError(wrong_box or wrong or "it has neither bbox nor segmentation")
        if wrong is not None:
            bad.mended.append((f"{name}: {wrong}", "its box stands in"))
        return box, None
    if wrong is not None:
        bad.mended.append((f"{name}: {wrong}", "its other polygons are kept"))
    if wrong_box is not None:
        bad.mended.append((f"{name}: {wrong_box}", "the bounds of its region stand in"))
    box = box or rounded(around)
    return box, None if _is_box(one.get("segmentation"), box) else region


def _box(value: object, size: Size) -> Box:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"bbox {value!r} must be [x, y, width, height] in pixels")
    x, y, width, height = (float(number) for number in value)
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"bbox {value!r} is empty or endless")
    if not (x < size[0] and y < size[1] and x + width > 0 and y + height > 0):
        raise ValueError(f"bbox {value!r} lies outside {size[0]}x{size[1]} pixels")
    return rounded((x, y, x + width, y + height))


def _region(value: object, size: Size) -> tuple[str | None, str | None]:
    """A segmentation of polygons or run lengths as a compressed string, None without one; and what is wrong with it.

    Raises:
        ValueError: If nothing of it can be used.
    """
    if isinstance(value, dict):
        if list(value.get("size", [])) != [size[1], size[0]]:
            raise ValueError(f"the segmentation has size {value.get('size')}, its image {[size[1], size[0]]}")
        counts = value.get("counts")
        if isinstance(counts, str):
            return require_region(counts, size), None
        return rle_of_counts(list(counts or ()), size), None
    if value is not None and not isinstance(value, list):
        raise ValueError(f"a segmentation is a list of polygons or run lengths, not {value!r:.40}")
    good: list[list[Point]] = []
    rle = wrong = None
    for part in value or ():
        try:
            points = _points(part)
            rle = polygons([points], size)
            good.append(points)
        except (ValueError, TypeError) as error:
            wrong = wrong or str(error)
    return polygons(good, size) if len(good) > 1 else rle, wrong


def _points(part: object) -> list[Point]:
    if not isinstance(part, list) or len(part) % 2:
        raise ValueError("a polygon is a list of x and y in turn")
    return [(float(x), float(y)) for x, y in zip(part[::2], part[1::2], strict=True)]


def _is_box(value: object, box: Box) -> bool:
    """Whether a segmentation is the outline of its box, as tools write it where there is no region."""
    if not isinstance(value, list) or len(value) != 1 or len(value[0]) != 8:
        return False
    x1, y1, x2, y2 = box
    corners = {(x1, y1), (x2, y1), (x2, y2), (x1, y2)}
    return {(round(x, 3), round(y, 3)) for x, y in zip(value[0][::2], value[0][1::2], strict=True)} == corners
