"""COCO's object detection format: confirmed defects as annotations, all else under keys that other readers pass over.

An annotation with a ``score`` was found by a model, one without was drawn. Our own files add ``verdict`` and
``shown_class``; ``rejected`` and ``open`` hold the detections that were rejected and those without an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datamodules.common.atomic_write import write_text
from datamodules.inspection.store.exchange.parts import (
    ExchangedDetection,
    ExchangedImage,
    find_image,
    pixels,
    said,
    well_formed,
)

NAME = "annotations.json"
_GROUPS = ("annotations", "rejected", "open")
Json = Mapping[str, Any]  # a JSON object: its values are looked at one by one


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write ``annotations.json``."""
    content: dict[str, list[dict[str, object]]] = {name: [] for name in ("images", "categories", *_GROUPS)}
    content["categories"] = [{"id": number + 1, "name": name} for number, name in enumerate(classes)]
    for number, image in enumerate(images, 1):
        content["images"].append(
            {
                "id": number,
                "file_name": str(image.path),
                "width": image.width,
                "height": image.height,
                "domain": image.domain,
                "healthy": image.healthy,
            }
        )
        for one in image.detections:
            group = "open" if one.verdict is None else "rejected" if one.truth is None else "annotations"
            content[group].append(_annotation(one, number, image, classes))
    write_text(folder / NAME, json.dumps(content, indent=1))
    return [folder / NAME]


def _annotation(
    one: ExchangedDetection, image_id: int, image: ExchangedImage, classes: Sequence[str]
) -> dict[str, object]:
    x1, y1, x2, y2 = one.box
    values: dict[str, object] = {
        "id": int(one.name[1:]),
        "image_id": image_id,
        "category_id": classes.index(one.truth or one.shown_class) + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "shown_class": one.shown_class,
        "verdict": one.verdict,
    }
    if one.rle is not None:
        values["segmentation"] = {"size": [image.height, image.width], "counts": one.rle}
    return values if one.score is None else values | {"score": one.score}


def read(content: object, source: Path) -> tuple[list[ExchangedImage], list[str]]:
    """Read a COCO file, ours or another's.

    Raises:
        LabelError: If a part is missing or malformed.
    """
    with well_formed(
        source,
        "is no COCO file of detections ({}): it needs images (id, file_name), categories (id, name) and annotations "
        "(image_id, category_id, bbox)",
    ):
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__} where an object belongs")
        names = {int(one["id"]): str(one["name"]) for one in content["categories"]}
        images: dict[int, ExchangedImage] = {}
        for one in content["images"]:
            path = find_image(str(one["file_name"]), source.parent, source)
            width, height, domain = int(one.get("width", 0)), int(one.get("height", 0)), int(one.get("domain", 1))
            images[int(one["id"])] = ExchangedImage(path, width, height, domain, bool(one.get("healthy", False)))
        for group in _GROUPS:
            for number, one in enumerate(content.get(group, [])):
                images[int(one["image_id"])].detections.append(_detection(one, names, group, f"{group}{number}"))
    return list(images.values()), list(names.values())


def _detection(one: Json, names: Mapping[int, str], group: str, name: str) -> ExchangedDetection:
    truth = names[int(one["category_id"])]
    shown = str(one.get("shown_class", truth))
    x, y, width, height = (float(value) for value in one["bbox"])
    verdict = said(shown, None if group == "rejected" else truth)
    if one.get("score") is not None and one.get("verdict") is None:
        group = "open"  # another's prediction is still to be asked about
    region = one.get("segmentation")
    rle = region.get("counts") if isinstance(region, dict) and isinstance(region.get("counts"), str) else None
    return ExchangedDetection(
        name=name,
        shown_class=shown,
        box=pixels((x, y, x + width, y + height)),
        score=None if one.get("score") is None else float(one["score"]),
        verdict=None if group == "open" else verdict,
        truth=truth if group == "annotations" else None,
        rle=rle,
    )
