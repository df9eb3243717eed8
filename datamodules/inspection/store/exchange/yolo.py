"""YOLO's layout: ``classes.txt``, ``images.txt`` and a text file of boxes for each image.

A line is ``class x y width height``, in parts of the image, and a sixth number where a model found it: its score. Only
confirmed defects are written, and images that hold one or are healthy: YOLO has no way to say "rejected" or "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import LabelError
from datamodules.inspection.store.exchange.parts import ExchangedDetection, ExchangedImage, find_image, pixels
from datamodules.tables.numbers import parse_numbers
from datamodules.tables.text import read_lines


def write(images: Sequence[ExchangedImage], classes: Sequence[str], folder: Path) -> list[Path]:
    """Write ``data.yaml``, ``classes.txt``, ``images.txt`` and ``labels``; line n of both lists belong together."""
    known = [one for one in images if one.healthy or any(found.truth is not None for found in one.detections)]
    names = _label_names(known)
    for image, name in zip(known, names, strict=True):
        lines = [_line(one, image, classes) for one in image.detections if one.truth is not None]
        write_text(folder / "labels" / name, "".join(f"{line}\n" for line in lines))
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in classes))
    write_text(folder / "images.txt", "".join(f"{image.path}\n" for image in known))
    named = "".join(f"  {number}: {name!r}\n" for number, name in enumerate(classes))
    write_text(
        folder / "data.yaml", f"path: {str(folder.absolute())!r}\ntrain: images.txt\nval: images.txt\nnames:\n{named}"
    )
    return [folder / "data.yaml"]


def _label_names(images: Sequence[ExchangedImage]) -> list[str]:
    """Stem of each image; a second image of the same stem gets a number."""
    seen: dict[str, int] = {}
    names = []
    for image in images:
        count = seen[image.path.stem] = seen.get(image.path.stem, 0) + 1
        names.append(f"{image.path.stem}.txt" if count == 1 else f"{image.path.stem}~{count}.txt")
    return names


def _line(one: ExchangedDetection, image: ExchangedImage, classes: Sequence[str]) -> str:
    x1, y1, x2, y2 = one.box
    parts = (
        (x1 + x2) / 2 / image.width,
        (y1 + y2) / 2 / image.height,
        (x2 - x1) / image.width,
        (y2 - y1) / image.height,
    )
    return " ".join([str(classes.index(one.truth or one.shown_class)), *(f"{value:.9g}" for value in parts)])


def read(folder: Path) -> tuple[list[ExchangedImage], list[str]]:
    """Read a folder in this layout; images come from ``images.txt``, or from ``images`` by their stems.

    Raises:
        LabelError: If a file is missing or a line is malformed; the message names both.
    """
    listed = folder / "classes.txt"
    if not listed.is_file() or not (folder / "labels").is_dir():
        raise LabelError(f"{folder} is no YOLO folder: it needs classes.txt and labels, and images.txt or images")
    classes = [line.strip() for line in _lines(listed) if line.strip()]
    images = [ExchangedImage(path) for path in _paths(folder)]
    for image, name in zip(images, _label_names(images), strict=True):
        labels = folder / "labels" / name
        if labels.is_file():
            _read_labels(image, labels, classes)
    return images, classes


def _lines(path: Path) -> list[str]:
    return read_lines(path, "cannot be read as text ({}); write it anew")


def _paths(folder: Path) -> list[Path]:
    from datamodules.images.finding import find_images  # Pillow is for imports alone

    listed = folder / "images.txt"
    if listed.is_file():
        return [find_image(line.strip(), folder, listed) for line in _lines(listed) if line.strip()]
    return [path.absolute() for path in find_images(folder / "images")]


def _read_labels(image: ExchangedImage, labels: Path, classes: Sequence[str]) -> None:
    from datamodules.images.size import picture_size

    width, height = picture_size(image.path, str(labels))
    for number, line in enumerate(_lines(labels), 1):
        if line.strip():
            image.detections.append(
                _detection(line, (width, height), classes, f"{labels}, line {number}", f"l{number}")
            )
    image.healthy = not image.detections


def _detection(line: str, size: tuple[int, int], classes: Sequence[str], place: str, name: str) -> ExchangedDetection:
    try:
        index, *values = parse_numbers("", 0, "number", line.split())
        x, y, width, height, *rest = values
        shown = classes[int(index)] if index >= 0 else ""
    except (ValueError, IndexError) as error:
        raise LabelError(
            f"{place}: {line!r} is not `class x y width height [score]` of {len(classes)} classes"
        ) from error
    if not shown or len(rest) > 1 or not 0 <= min(values) <= max(values) <= 1:
        raise LabelError(f"{place}: {line!r} is not `class x y width height [score]`, the last five in 0..1")
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    box = pixels([round(value * side, 3) for value, side in zip(corners, (*size, *size), strict=True)])
    score = rest[0] if rest else None
    known = score is None
    return ExchangedDetection(name, shown, box, score, "confirm" if known else None, shown if known else None)
