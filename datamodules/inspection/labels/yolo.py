"""The layout of YOLO: ``images/`` beside ``labels/`` with one text file an image.

A line is ``class x y w h`` (centre and size as shares of the image's sides) or ``class x1 y1 x2 y2 x3 y3 ...`` (a
polygon in the same shares). An image without a file, or with an empty one, has no defect. A first level ``train``,
``val`` and ``test`` under ``images`` names the split. The names of the classes are in ``data.yaml`` (``names``).
"""

from __future__ import annotations

from pathlib import Path

from datamodules.common.errors import LabelError, fail
from datamodules.images.finding import find_images
from datamodules.images.size import picture_size
from datamodules.inspection.batch import ORIGINAL
from datamodules.inspection.labels.folder_masks import split_of
from datamodules.inspection.labels.polygons import polygon_box, polygon_rle
from datamodules.inspection.labels.records import RawImage, RawObject
from datamodules.tables.numbers import parse_integer, parse_number
from datamodules.tables.text import read_lines
from datamodules.tables.yaml import read_yaml


def read_yolo(root: str | Path, domain: int | None = None, classes: tuple[str, ...] | None = None) -> list[RawImage]:
    """Read a folder in the layout of YOLO.

    Args:
        root: Folder that holds ``images`` and ``labels``.
        domain: Domain of every image; None means original.
        classes: Names of the classes where there is no ``data.yaml``; None demands one.

    Raises:
        LabelError: If there is no image or no name of a class, or a line is malformed, names an unknown class or
            leaves the image.
    """
    root = Path(root)
    listed = (root / "data.yaml").is_file() or classes is None
    names = yolo_classes(root) if listed or classes is None else classes
    images = find_images(root / "images")
    if not images:
        raise LabelError(f"{root / 'images'}: there is no image; put images there and text files in labels")
    return [_image(root, file, names, ORIGINAL if domain is None else domain) for file in images]


def yolo_classes(root: Path) -> tuple[str, ...]:
    """Names in ``data.yaml``, a list or a mapping from number to name.

    Raises:
        LabelError: If the file is absent or holds no names.
    """
    file = root / "data.yaml"
    content = read_yaml(file, words=True)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == set(map(str, range(len(names)))):
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise LabelError(f"{file}: has no names; write names: [scratch, dent], or give classes")
    return tuple(str(name) for name in names)


def _image(root: Path, file: Path, names: tuple[str, ...], domain: int) -> RawImage:
    place = file.relative_to(root / "images")
    labels = (root / "labels" / place).with_suffix(".txt")
    return RawImage(
        path=str(file.absolute()),
        name=place.as_posix(),
        domain=domain,
        source=str(labels) if labels.is_file() else str(file),
        split=split_of(place),
        objects=_objects(labels, file, names) if labels.is_file() else (),
    )


def _objects(labels: Path, file: Path, names: tuple[str, ...]) -> tuple[RawObject, ...]:
    lines = read_lines(labels, "cannot be read as text ({}); write it anew")
    filled = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not filled:
        return ()
    size = picture_size(file)[::-1]
    return tuple(_object(labels, number, fields, names, size) for number, fields in filled)


def _object(labels: Path, line: int, fields: list[str], names: tuple[str, ...], size: tuple[int, int]) -> RawObject:
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise fail(labels, line, f"{len(fields)} fields; a box has 5 and a polygon 1 and at least 3 pairs")
    index = parse_integer(labels, line, "class", fields[0])
    if not 0 <= index < len(names):
        raise fail(labels, line, f"unknown class {index}; the classes are 0 to {len(names) - 1} ({', '.join(names)})")
    shares = [parse_number(labels, line, "coordinate", text) for text in fields[1:]]
    height, width = size
    source = f"{labels}, line {line}"
    if len(shares) > 4:
        points = [(x * width, y * height) for x, y in zip(shares[::2], shares[1::2], strict=True)]
        return RawObject(polygon_box(points), names[index], source, polygon_rle([points], size))
    x, y, w, h = shares
    if w <= 0 or h <= 0:
        raise fail(labels, line, f"box {w:g} x {h:g} is empty; width and height must be above 0")
    return RawObject(
        ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height), names[index], source
    )
