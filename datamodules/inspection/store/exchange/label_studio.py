"""Label Studio's JSON: what the model found as predictions, what each annotator says is there as an annotation.

Reading its export back, a predicted region that was kept is confirmed, one with another label re-classed, one that is
gone or that was moved away rejected, and one that was added is a missed defect. What one annotator marks and another,
who was at the same image, does not, the other rejects. Healthy is what was annotated as empty, nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import LabelError
from datamodules.images.finding import IMAGE_SUFFIXES
from datamodules.images.size import check_label_size
from datamodules.inspection.store.exchange.finding import ImageFinder
from datamodules.inspection.store.exchange.parts import (
    WHOEVER_IMPORTS,
    BadEntries,
    ExchangedDetection,
    ExchangedImage,
    named_in_order,
    well_formed,
)
from datamodules.inspection.store.exchange.regions import Size
from datamodules.inspection.store.exchange.shapes import (
    NothingPaintedError,
    Shape,
    kind_of,
    labels_of,
    shapes_of,
    written,
)
from datamodules.inspection.store.rows import Box

NAME, CONFIG = "tasks.json", "labels.xml"
_OURS = re.compile(r"d\d+$")  # names of regions that we wrote: those of one name are one
SAME = 0.5  # intersection over union from which two boxes are of one defect
Json = Mapping[str, Any]  # a JSON object: its values are looked at one by one


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write ``tasks.json``, and ``labels.xml`` for the project's labelling interface."""
    held = [one for one in map(_held, images) if one.detections or one.healthy_by]
    write_text(folder / NAME, json.dumps([{"id": n} | _task(one) for n, one in enumerate(held, 1)], indent=1))
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in classes)
    write_text(
        folder / CONFIG,
        f'<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n{labels}\n'
        f'  </RectangleLabels>\n  <BrushLabels name="region" toName="image">\n{labels}\n  </BrushLabels>\n</View>\n',
    )
    return [folder / NAME, folder / CONFIG]


def _held(image: ExchangedImage) -> ExchangedImage:
    """What the format can say of an image: it has no word for a drawing of which nothing is known."""
    kept = [one for one in image.detections if one.score is not None or one.votes]
    return named_in_order(replace(image, detections=kept))


def _task(image: ExchangedImage) -> dict[str, object]:
    found = [one for one in image.detections if one.score is not None]
    annotators = sorted({*image.healthy_by, *(name for one in image.detections for name in one.votes)})
    task: dict[str, object] = {
        "data": {"image": f"/data/local-files/?d={quote(str(image.path).lstrip('/'))}"},
        "meta": {
            "path": str(image.path),
            "domain": image.domain,
            "healthy": list(image.healthy_by),
            "annotators": annotators,
            "open": {name: [one.name for one in image.detections if name not in one.votes] for name in annotators},
        },
        "predictions": [
            {"model_version": "appraise", "result": [written(one, one.shown_class, image) for one in found]}
        ],
    }
    if annotators:
        task["annotations"] = [
            {"result": [written(one, name, image) for one in image.detections if (name := one.votes.get(who))]}
            for who in annotators
        ]
    return task


def read(content: object, finder: ImageFinder, bad: BadEntries) -> tuple[list[ExchangedImage], list[str]]:
    """Read tasks, ours or an export of Label Studio.

    Raises:
        LabelError: If it is no list of tasks, or names no class.
    """
    if isinstance(content, list) and any(isinstance(one, dict) and "category_id" in one for one in content):
        raise LabelError(
            f"{bad.source} is a list of COCO results: put it under annotations of a file that has images and categories"
        )
    with well_formed(
        bad.source,
        "is no list of Label Studio tasks ({}): each needs data.image, and predictions or annotations; export as JSON, "
        "not as JSON-MIN",
    ):
        if not isinstance(content, list):
            raise TypeError(f"a {type(content).__name__} where a list belongs")
        if content and not any(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content):
            raise KeyError("data")
    images: dict[Path, ExchangedImage] = {}
    for number, task in enumerate(content, 1):
        with bad.entry(f"task {number}"):
            image = _image(task, f"task {number}", finder, bad)
            _join(images, image)
    detections = [one for image in images.values() for one in image.detections]
    named = {name for one in detections for name in (one.shown_class, *one.votes.values())}
    classes = _listed(finder.beside / CONFIG)
    classes += sorted(name for name in named if name is not None and name not in classes)
    if not classes and not bad.found:
        raise LabelError(f"{bad.source} holds no labelled region: export tasks that have predictions or annotations")
    return list(images.values()), classes


def _listed(config: Path) -> list[str]:
    """Classes of a labelling interface beside the tasks, in its order."""
    try:
        labels = ElementTree.parse(config).iter("Label") if config.is_file() else ()
        return list(dict.fromkeys(str(one.get("value")) for one in labels if one.get("value")))
    except (ElementTree.ParseError, OSError):
        return []  # whoever wrote it; the tasks name classes too


def _join(images: dict[Path, ExchangedImage], image: ExchangedImage) -> None:
    """Add an image; two tasks of one image say everything that each of them says."""
    other = images.setdefault(image.path, image)
    if other is not image:
        more = len(other.detections)
        other.detections += [replace(one, name=f"{one.name}+{more}") for one in image.detections]
        other.healthy_by = tuple(dict.fromkeys([*other.healthy_by, *image.healthy_by]))
    if any(truth is not None for one in other.detections for truth in one.votes.values()):
        other.healthy_by = ()


def _image(task: Json, place: str, finder: ImageFinder, bad: BadEntries) -> ExchangedImage:
    meta = task.get("meta") if isinstance(task.get("meta"), dict) else {}
    path = finder.find(str((meta or {}).get("path") or _link(task["data"])))
    predictions, annotations = (_groups(task, name) for name in ("predictions", "annotations"))
    size = check_label_size(path, _stated([*predictions, *annotations]))
    return _Task(dict(meta or {}), place, size, bad).image(path, predictions, annotations)


def _link(data: Json) -> str:
    """Link of the image: under ``image``, or the only value that looks like one."""
    if isinstance(data.get("image"), str):
        return str(data["image"])
    found = [
        value
        for value in data.values()
        if isinstance(value, str) and PurePosixPath(value.partition("?")[0]).suffix.lower() in IMAGE_SUFFIXES
    ]
    if len(found) != 1:
        raise KeyError("data.image")
    return found[0]


def _groups(task: Json, name: str) -> list[Json]:
    """Annotations that were finished, or predictions; old exports call annotations completions."""
    groups = task.get(name)
    if groups is None and name == "annotations":
        groups = task.get("completions")
    return [one for one in groups or [] if isinstance(one, dict) and not one.get("was_cancelled")]


def _stated(groups: Iterable[Json]) -> Size:
    """Size that the shapes were drawn on; zeros where none says it."""
    sizes = {
        (int(one.get("original_width") or 0), int(one.get("original_height") or 0))
        for group in groups
        for one in group.get("result") or []
        if kind_of(one) is not None
    }
    known = sorted(size for size in sizes if 0 not in size)
    if len(known) > 1:
        raise ValueError(f"its regions were drawn on images of {' and '.join(f'{w}x{h}' for w, h in known)} pixels")
    return known[0] if known else (0, 0)


class _Said(NamedTuple):
    """What one annotator says of an image.

    Attributes:
        name: Of the annotator.
        shapes: What was marked.
        is_whole: Whether what is not marked is no defect: nothing was left out, and it is not a choice alone.
        is_empty: Whether it was annotated as empty.
    """

    name: str
    shapes: list[Shape]
    is_whole: bool
    is_empty: bool


@dataclass(frozen=True)
class _Task:
    """Reads what was said about one image."""

    meta: Json
    place: str
    size: Size
    bad: BadEntries

    def image(self, path: Path, predictions: list[Json], annotations: list[Json]) -> ExchangedImage:
        found = [shape for group in predictions for shape in self._shapes(group)[0]]
        people = self._people(annotations)
        regions = [*found]
        votes: list[dict[str, str | None]] = [{} for _ in found]
        for person in people:
            taken: set[int] = set()
            for shape in person.shapes:
                place = _same(shape, regions, taken, by_name="annotators" in self.meta and _OURS.match(shape.name))
                if place == len(regions):
                    regions.append(shape)
                    votes.append({})
                taken.add(place)
                votes[place][person.name] = shape.label
        for shape, said in zip(regions, votes, strict=True):
            for person in people:
                if person.is_whole and shape.name not in self._open(person.name):
                    said.setdefault(person.name, None)
        detections = [
            _detection(shape, place, place < len(found), said)
            for place, (shape, said) in enumerate(zip(regions, votes, strict=True))
        ]
        has_defect = any(truth is not None for said in votes for truth in said.values())
        healthy = () if has_defect else tuple(one.name for one in people if one.is_empty)
        return ExchangedImage(path, *self.size, 0 if self.meta.get("domain") == 0 else 1, healthy, detections)

    def _shapes(self, group: Json) -> tuple[list[Shape], bool]:
        """Shapes of a group, and whether these are all that was marked."""
        results = [one for one in group.get("result") or [] if isinstance(one, dict)]
        labels = labels_of(results)
        shapes: list[Shape] = []
        wanted = [one for one in results if kind_of(one) is not None]
        before = len(self.bad.found) + len(self.bad.notes)
        for number, one in enumerate(wanted, 1):
            with self.bad.entry(f"{self.place}, region {one.get('id', number)}"):
                try:
                    shapes += shapes_of(one, labels, self.size)
                except NothingPaintedError as error:
                    self.bad.notes.append(f"{self.bad.source}, {self.place}: {error} is left out")
        return shapes, len(self.bad.found) + len(self.bad.notes) == before

    def _people(self, annotations: list[Json]) -> list[_Said]:
        """What each annotator says; of one who was at the image twice the last annotation."""
        known = self.meta.get("annotators")
        ours = isinstance(known, list) and len(known) == len(annotations)
        people: dict[str, _Said] = {}
        for number, group in enumerate(annotations):
            name = str(known[number]) if ours and isinstance(known, list) else _account(group.get("completed_by"))
            shapes, is_all = self._shapes(group)
            is_empty = group.get("result") == []
            flags = self.meta.get("healthy")
            flagged = name in flags if isinstance(flags, list) else is_empty if flags is None else flags is True
            people[name] = _Said(name, shapes, is_empty or (bool(shapes) and is_all), flagged)
        return list(people.values())

    def _open(self, name: str) -> list[str]:
        """Regions that an annotator of ours has not answered."""
        known = self.meta.get("open")
        if isinstance(known, list):  # of a release that knew one annotator
            return known
        return known.get(name, []) if isinstance(known, dict) else []


def _account(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    return WHOEVER_IMPORTS if value is None else f"annotator {value}" if isinstance(value, int) else str(value)[:64]


def _detection(shape: Shape, place: int, is_found: bool, votes: Mapping[str, str | None]) -> ExchangedDetection:
    score = (1.0 if shape.score is None else shape.score) if is_found else None
    if score is not None and not 0 <= score <= 1:
        raise ValueError(f"score {score:g} of a prediction lies outside 0..1")
    return ExchangedDetection(f"{shape.name}/{place}", shape.label, shape.box, score, votes, shape.rle)


def _same(shape: Shape, others: Sequence[Shape], taken: Container[int], by_name: object) -> int:
    """Place of the region that a shape was made from, or that another drew around the same defect; else a new one."""
    alike = [
        (other.name == shape.name, other.label == shape.label, _overlap(shape.box, other.box), -place)
        for place, other in enumerate(others)
        if place not in taken and not (by_name and other.name != shape.name) and _overlap(shape.box, other.box) >= SAME
    ]
    return -max(alike)[3] if alike else len(others)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)) - both)
