"""YOLO's layout: ``data.yaml``, ``images`` with the pictures, ``labels`` with a text file of boxes for each.

A line is ``class x y width height``, in parts of the image, and a sixth number where a model found it: its score. Only
confirmed defects are written, and images that hold one or are healthy: YOLO has no way to say "rejected" or "unknown".
``images.txt`` lists the pictures, ``sources.txt`` the files that they were copied from, line by line.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from datamodules.common.atomic_write import atomic_path, write_text
from datamodules.common.errors import LabelError, StoreError
from datamodules.images.size import check_label_size
from datamodules.inspection.store.exchange.finding import ImageFinder
from datamodules.inspection.store.exchange.parts import (
    WHOEVER_IMPORTS,
    BadEntries,
    ExchangedDetection,
    ExchangedImage,
    rounded,
)
from datamodules.inspection.store.exchange.regions import Size, box_of, polygons
from datamodules.inspection.store.rows import Box
from datamodules.tables.numbers import numbers_of
from datamodules.tables.text import read_lines
from datamodules.tables.yaml import read_yaml

_log = logging.getLogger(__name__)

_COPIED = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})  # what tools of YOLO read
_CLOSE = 1e-3  # part of the image that a label may stick out: rounding


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write the folder.

    Raises:
        StoreError: If it holds images or labels that no export wrote, or an image is gone.
    """
    known = [one for one in images if one.healthy_by or any(found.truth is not None for found in one.detections)]
    if not known:
        _log.warning(
            "no image has a confirmed defect or is healthy, and YOLO can hold nothing else: %s is empty", folder
        )
    _clear(folder, {one.path for one in known})
    names = _picture_names(known)
    for image, name in zip(known, names, strict=True):
        lines = sorted({_line(one, image, classes) for one in image.detections if one.truth is not None})
        write_text(folder / "labels" / f"{Path(name).stem}.txt", "".join(f"{line}\n" for line in lines))
        _copy(image.path, folder / "images" / name)
    write_text(folder / "images.txt", "".join(f"./images/{name}\n" for name in names))
    write_text(folder / "sources.txt", "".join(f"{json.dumps(str(image.path))}\n" for image in known))
    write_text(folder / "classes.txt", "".join(f"{' '.join(name.split())}\n" for name in classes))
    named = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(classes))
    write_text(folder / "data.yaml", f"train: images\nval: images\nnames:\n{named}")
    return [folder / "data.yaml"]


def _clear(folder: Path, needed: set[Path]) -> None:
    """Remove what an earlier export wrote, but no picture that is still needed."""
    there = [one for one in ("images", "labels") if (folder / one).exists()]
    if there and not (folder / "sources.txt").is_file():
        raise StoreError(f"{folder / there[0]} is there, and no export wrote it: name an empty folder with --output")
    for line in _lines(folder / "images.txt") if there else ():
        picture = folder / line.strip()
        (folder / "labels" / f"{picture.stem}.txt").unlink(missing_ok=True)
        if picture.absolute() not in needed:
            picture.unlink(missing_ok=True)


def _picture_names(images: Sequence[ExchangedImage]) -> list[str]:
    """A name for each picture whose stem no other has, whatever the case of its letters."""
    used: set[str] = set()
    names = []
    for image in images:
        plain = "".join(letter if letter.isprintable() else "_" for letter in image.path.stem)
        stem, number = plain, 1
        while stem.lower() in used:
            number += 1
            stem = f"{plain}~{number}"
        used.add(stem.lower())
        suffix = image.path.suffix
        names.append(f"{stem}{suffix if _is_copied(image.path) else '.png'}")
    return names


def _is_copied(path: Path) -> bool:
    """Whether tools read the file as it is, upright; others get a PNG."""
    from datamodules.images.size import is_upright

    return path.suffix.lower() in _COPIED and is_upright(path)


def _copy(source: Path, target: Path) -> None:
    if source == target.absolute():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        if source.suffix == target.suffix:
            shutil.copyfile(source, temporary)
        else:
            from datamodules.images.upright import read_picture

            read_picture(source, transparent="ignored").save(temporary, "PNG")


def _line(one: ExchangedDetection, image: ExchangedImage, classes: Sequence[str]) -> str:
    x1, y1, x2, y2 = one.box
    parts = (
        (x1 + x2) / 2 / image.width,
        (y1 + y2) / 2 / image.height,
        (x2 - x1) / image.width,
        (y2 - y1) / image.height,
    )
    return " ".join([str(classes.index(one.truth or one.shown_class)), *(f"{value:.9g}" for value in parts)])


def read(folder: Path, finder: ImageFinder, bad: BadEntries) -> tuple[list[ExchangedImage], list[str]]:
    """Read a folder in this layout, ours or another's; images come from ``images.txt``, or from ``images``.

    Raises:
        LabelError: If the names of the classes or the labels are missing.
    """
    classes = _classes(folder)
    places = [one for one in (folder / "labels", *sorted(folder.glob("*/labels"))) if one.is_dir()]
    if classes is None or not places:
        raise LabelError(f"{folder} is no YOLO folder: it needs data.yaml or classes.txt, labels, and images")
    images: list[ExchangedImage] = []
    used: set[Path] = set()
    for place, name, labels in _pairs(folder):
        with bad.entry(place):
            path = finder.find(name)
            image = ExchangedImage(path, *check_label_size(path, (0, 0)))
            if labels.is_file():
                used.add(labels)
                _read_labels(image, labels, classes, bad)
            images.append(image)
    for labels in sorted(file for place in places for file in place.rglob("*.txt")):
        if labels not in used and labels.name not in ("classes.txt", "notes.txt"):
            bad.found.append(f"{labels.relative_to(folder)}: there is no image of this name")
    return images, classes


def _classes(folder: Path) -> list[str] | None:
    """Names of the classes from ``data.yaml``, else ``classes.txt``; None where neither names any."""
    for listed in (folder / "data.yaml", folder / "data.yml", folder / "dataset.yaml"):
        if listed.is_file():
            content = read_yaml(listed, words=True)
            names = content.get("names") if isinstance(content, dict) else None
            if isinstance(content, dict) and "kpt_shape" in content:
                raise LabelError(f"{listed} describes keypoints, which are no defects: give boxes or outlines")
            if not isinstance(names, dict | list):
                raise LabelError(f"{listed} has no list of names: write it as YOLO does")
            values = [names[key] for key in sorted(names, key=_number)] if isinstance(names, dict) else names
            return [str(value) for value in values]
    listed = folder / "classes.txt"
    return [line.strip() for line in _lines(listed) if line.strip()] if listed.is_file() else None


def _pairs(folder: Path) -> list[tuple[str, str, Path]]:
    """Of each image what to call it in messages, its name, and where its labels lie."""
    from datamodules.images.finding import find_images  # Pillow is for imports alone

    listed, sources = folder / "images.txt", folder / "sources.txt"
    if not listed.is_file():
        found = [(path, path.relative_to(folder)) for path in find_images(folder)]
        return [
            (str(name), str(path.absolute()), _labels_of(name, folder))
            for path, name in found
            if "images" in name.parts
        ]
    names = [line.strip() for line in _lines(listed) if line.strip()]
    if sources.is_file():
        origins = [str(json.loads(line)) for line in _lines(sources) if line.strip()]
        return [
            (name, origin if Path(origin).is_file() else name, _labels_of(Path(name), folder))
            for name, origin in zip(names, origins, strict=True)
        ]
    pairs, seen = [], dict[str, int]()
    for name in names:  # of a release that numbered equal stems, or of another tool
        stem = Path(name).stem
        seen[stem] = seen.get(stem, 0) + 1
        numbered = folder / "labels" / (f"{stem}.txt" if seen[stem] == 1 else f"{stem}~{seen[stem]}.txt")
        beside = _labels_of(Path(name), folder)
        pairs.append((name, name, beside if beside.is_file() else numbered))
    return pairs


def _labels_of(picture: Path, folder: Path) -> Path:
    """Labels of a picture, as YOLO finds them: in ``labels`` where it lies in ``images``."""
    parts = list(picture.with_suffix(".txt").parts)
    if picture.is_absolute() or "images" not in parts:
        return folder / "labels" / parts[-1]
    last = len(parts) - 1 - parts[::-1].index("images")
    return folder.joinpath(*parts[:last], "labels", *parts[last + 1 :])


def _number(key: object) -> int:
    text = str(key)
    return int(text) if text.isdecimal() else 10**9  # of a file that numbers nothing, in its order


def _lines(path: Path) -> list[str]:
    return read_lines(path, "cannot be read as text ({}); write it anew")


def _read_labels(image: ExchangedImage, labels: Path, classes: Sequence[str], bad: BadEntries) -> None:
    lines = [(number, line) for number, line in enumerate(_lines(labels), 1) if line.strip()]
    for number, line in lines:
        with bad.entry(f"{labels.name}, line {number}"):
            image.detections.append(_detection(line, (image.width, image.height), classes, f"l{number}"))
    if not lines:
        image.healthy_by = (WHOEVER_IMPORTS,)


def _detection(line: str, size: Size, classes: Sequence[str], name: str) -> ExchangedDetection:
    try:
        index, *values = numbers_of(line.split()) or [math.nan]
        shown = classes[int(index)] if index >= 0 and index == int(index) else ""
    except (ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"{line!r} is not `class x y width height [score]` of {len(classes)} classes") from error
    is_outline = len(values) >= 6 and len(values) % 2 == 0
    if not shown or not (len(values) in (4, 5) or is_outline):
        raise ValueError(f"{line!r} is not `class x y width height [score]`, nor a class and an outline")
    if not all(-_CLOSE <= value <= 1 + _CLOSE for value in values):
        raise ValueError(f"{line!r} is not `class x y width height [score]`, the last five in 0..1")
    if is_outline:
        return _outline(values, size, shown, name)
    x, y, width, height, *rest = values
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    box = rounded([value * side for value, side in zip(corners, (*size, *size), strict=True)])
    if not (box[2] > box[0] and box[3] > box[1]):
        raise ValueError(f"{line!r} is an empty box")
    if rest:
        return ExchangedDetection(name, shown, box, min(max(rest[0], 0.0), 1.0))
    return ExchangedDetection(name, shown, box, None, {WHOEVER_IMPORTS: shown})


def _outline(values: Sequence[float], size: Size, shown: str, name: str) -> ExchangedDetection:
    """A polygon, as segmentation labels have it; one of the four corners of a box is that box."""
    points = [(x * size[0], y * size[1]) for x, y in zip(values[::2], values[1::2], strict=True)]
    xs, ys = zip(*points, strict=True)
    box: Box = rounded((min(xs), min(ys), max(xs), max(ys)))
    if len(points) == 4 and len(set(xs)) == len(set(ys)) == 2 and len(set(points)) == 4:
        return ExchangedDetection(name, shown, box, None, {WHOEVER_IMPORTS: shown})
    region = polygons([points], size)
    around = box_of(region, size)
    if around is None:
        raise ValueError("an outline without a pixel")
    return ExchangedDetection(name, shown, around, None, {WHOEVER_IMPORTS: shown}, region)
