"""Label Studio's JSON: what the model found as predictions, what is there as an annotation, boxes in percent.

Reading its export back, a predicted box that was kept is confirmed, one with another label re-classed, one that is gone
rejected, and one that was added is a missed defect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import quoteattr

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import LabelError
from datamodules.inspection.store.exchange.parts import (
    ExchangedDetection,
    ExchangedImage,
    find_image,
    pixels,
    said,
    well_formed,
)
from datamodules.inspection.store.rows import Box

NAME, CONFIG = "tasks.json", "labels.xml"
Json = Mapping[str, Any]  # a JSON object: its values are looked at one by one


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write ``tasks.json``, and ``labels.xml`` for the project's labelling interface."""
    write_text(folder / NAME, json.dumps([_task(image) for image in images], indent=1))
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in classes)
    write_text(
        folder / CONFIG,
        f'<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n{labels}\n'
        "  </RectangleLabels>\n</View>\n",
    )
    return [folder / NAME, folder / CONFIG]


def _task(image: ExchangedImage) -> dict[str, object]:
    found = [one for one in image.detections if one.score is not None]
    task: dict[str, object] = {
        "data": {"image": f"/data/local-files/?d={quote(str(image.path).lstrip('/'))}"},
        "meta": {
            "path": str(image.path),
            "domain": image.domain,
            "healthy": image.healthy,
            "open": [one.name for one in found if one.verdict is None],
        },
        "predictions": [
            {"model_version": "appraise", "result": [_result(one, one.shown_class, image) for one in found]}
        ],
    }
    if image.healthy or any(one.verdict is not None for one in image.detections):
        there = [_result(one, one.truth, image) for one in image.detections if one.truth is not None]
        task["annotations"] = [{"result": there}]
    return task


def _result(one: ExchangedDetection, name: str, image: ExchangedImage) -> dict[str, object]:
    x1, y1, x2, y2 = one.box
    value = {
        "x": 100 * x1 / image.width,
        "y": 100 * y1 / image.height,
        "width": 100 * (x2 - x1) / image.width,
        "height": 100 * (y2 - y1) / image.height,
        "rotation": 0,
        "rectanglelabels": [name],
    }
    result: dict[str, object] = {
        "id": one.name,
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "value": value,
    }
    return result if one.score is None else result | {"score": one.score}


def read(content: object, source: Path) -> tuple[list[ExchangedImage], list[str]]:
    """Read tasks, ours or an export of Label Studio.

    Raises:
        LabelError: If a part is missing or malformed.
    """
    with well_formed(
        source,
        "is no list of Label Studio tasks with rectangle labels ({}): each task needs data.image, and predictions or "
        "annotations",
    ):
        if not isinstance(content, list):
            raise TypeError(f"a {type(content).__name__} where a list belongs")
        images = [_image(dict(task), source) for task in content]
    named = (name for image in images for one in image.detections for name in (one.shown_class, one.truth))
    classes = sorted({name for name in named if name is not None})
    if not classes:
        raise LabelError(f"{source} holds no rectangle label: export tasks that have predictions or annotations")
    return images, classes


def _image(task: Json, source: Path) -> ExchangedImage:
    meta = task.get("meta") or {}
    link = str(task["data"]["image"])
    named = meta.get("path") or "/" + "".join(parse_qs(urlsplit(link).query).get("d", [])).lstrip("/")
    path = find_image(named if named != "/" else link, source.parent, source)
    predicted = {str(one["id"]): one for group in task.get("predictions") or [] for one in _rectangles(group)}
    annotations = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
    kept = {str(one["id"]): one for one in _rectangles(annotations[-1])} if annotations else {}
    open_ = set(meta.get("open", [])) if annotations else set(predicted)
    detections = [_predicted(name, one, kept.get(name), name in open_) for name, one in predicted.items()]
    drawn = [(name, one) for name, one in kept.items() if name not in predicted]
    detections += [
        ExchangedDetection(name, _label(one), _box(one), None, "confirm", _label(one)) for name, one in drawn
    ]
    healthy = bool(meta.get("healthy", annotations and not kept))
    return ExchangedImage(path, 0, 0, int(meta.get("domain", 1)), healthy, detections)


def _predicted(name: str, one: Json, kept: Json | None, is_open: bool) -> ExchangedDetection:
    shown = _label(one)
    truth = None if kept is None or is_open else _label(kept)
    score = float(one.get("score") or 1.0)
    return ExchangedDetection(name, shown, _box(one), score, None if is_open else said(shown, truth), truth)


def _rectangles(group: Json) -> list[Json]:
    return [one for one in group["result"] if one.get("type") == "rectanglelabels"]


def _label(one: Json) -> str:
    return str(one["value"]["rectanglelabels"][0])


def _box(one: Json) -> Box:
    width, height = float(one["original_width"]), float(one["original_height"])
    value = {name: float(one["value"][name]) / 100 for name in ("x", "y", "width", "height")}
    corners = (value["x"], value["y"], value["x"] + value["width"], value["y"] + value["height"])
    return pixels([round(part * side, 3) for part, side in zip(corners, (width, height, width, height), strict=True)])
