"""The layouts of YOLO: one text file of labels an image, in ``labels`` beside ``images``, or beside the image itself.

A line is ``class x y w h`` (centre and size as shares of the image's sides) or ``class x1 y1 x2 y2 x3 y3 ...`` (a
polygon in the same shares). An image without a file, or with an empty one, has no defect; a file without an image is a
fault. The names of the classes are in ``data.yaml`` (``names``). The split is named by a folder of the image
(``train``, ``valid``, ...), else by ``train``, ``val`` and ``test`` of ``data.yaml``, which are looked for below the
root where they lead elsewhere: most were written on another machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from datamodules.common.errors import LabelError, fail
from datamodules.common.splits import SPLITS, SplitName
from datamodules.common.splits import split_of as split_of_word
from datamodules.common.walking import files_below
from datamodules.images.finding import IMAGE_SUFFIXES, find_images, folder_named
from datamodules.images.size import picture_size
from datamodules.inspection.batch import ORIGINAL
from datamodules.inspection.labels.polygons import polygon_box, polygon_rle
from datamodules.inspection.labels.records import RawImage, RawObject
from datamodules.summary.findings import Findings, some
from datamodules.tables.numbers import number_of, parse_integer, parse_number
from datamodules.tables.text import read_lines
from datamodules.tables.yaml import read_yaml

_DATA: Final = "data.yaml"
_CLASSES: Final = "classes.txt"
_UNREADABLE: Final = "cannot be read as text ({}); write it anew"
_OTHER_LABELS: Final = frozenset({".xml", ".json"})  # of Pascal VOC and LabelMe, one an image


class _Found(NamedTuple):
    """An image, its name and its split."""

    file: Path
    name: Path
    split: SplitName | None


def read_yolo(
    root: str | Path,
    domain: int | None = None,
    classes: tuple[str, ...] | None = None,
    findings: Findings | None = None,
) -> list[RawImage]:
    """Read a folder in a layout of YOLO.

    Args:
        root: Folder that holds ``images`` and ``labels``, or images with their labels.
        domain: Domain of every image; None means original.
        classes: Names of the classes where there is no ``data.yaml``; None demands one.
        findings: Takes what is wrong with single files and lines; None raises at the first.

    Raises:
        LabelError: If there is no image or no name of a class, or a line is malformed or names an unknown class.
    """
    root, findings = Path(root), findings or Findings(at_once=True)
    listed = (root / _DATA).is_file() or classes is None
    names = yolo_classes(root) if listed or classes is None else classes
    images = _images(root, _named_splits(root, findings))
    if not images:
        raise LabelError(f"{root / 'images'}: there is no image; put images there and text files in labels")
    texts = {Path(file) for file in files_below(root, {".txt"})}
    labels = {found.file: _labels(root, found, texts) for found in images}
    _check_matched(root, labels, texts, findings)
    read = []
    for found in images:
        own = labels[found.file]
        read.append(
            RawImage(
                path=str(found.file.absolute()),
                name=found.name.as_posix(),
                domain=ORIGINAL if domain is None else domain,
                source=str(own or found.file),
                split=found.split,
                objects=() if own is None else _objects(own, found.file, names, findings),
            )
        )
    return read


def yolo_classes(root: Path) -> tuple[str, ...]:
    """Names in ``data.yaml``, a list or a mapping from number to name.

    Raises:
        LabelError: If the file is absent or holds no names.
    """
    file = root / _DATA
    content = read_yaml(file, words=True)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == set(map(str, range(len(names)))):
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise LabelError(f"{file}: has no names; write names: [scratch, dent], or give classes")
    return tuple(str(name) for name in names)


# Where the images are


def _images(root: Path, named: Mapping[Path, SplitName]) -> list[_Found]:
    """Images of ``images``, else those that ``data.yaml`` names, else all below the root."""
    folder = folder_named(root, "images")
    files = [] if folder is None else find_images(folder)
    if folder is None or not files:
        folder, files = root, sorted(named) or find_images(root)
    places = [(file, file.relative_to(folder)) for file in files]
    return [_Found(file, place, _split(place) or named.get(file)) for file, place in places]


def _split(place: Path) -> SplitName | None:
    return next((split for part in place.parts[:-1] if (split := split_of_word(part)) is not None), None)


def _named_splits(root: Path, findings: Findings) -> dict[Path, SplitName]:
    """Split of each image that ``data.yaml`` names; none where one image is in two."""
    file = root / _DATA
    content = read_yaml(file, words=True) if file.is_file() else None
    splits: dict[Path, SplitName] = {}
    if not isinstance(content, dict):
        return splits
    for split in SPLITS:
        named = content.get(split) or (content.get("valid") if split == "val" else None)
        for text in named if isinstance(named, list) else [named] if named else []:
            place = _place_of(root, str(content.get("path") or ""), str(text))
            if place is None:
                findings.warn(
                    f"{file}: {split} names {text}, which is not here; images below {root} are read all the same"
                )
                continue
            for image in _images_at(root, place):
                if splits.setdefault(image, split) != split:
                    return {}
    return splits


def _place_of(root: Path, path: str, text: str) -> Path | None:
    """What a path of ``data.yaml`` means here: as it stands, else its longest end that lies below the root."""
    posix = text.replace("\\", "/")
    tried = [Path(path).expanduser() / posix, root / path / posix, root / posix]
    parts = [part for part in PurePosixPath(posix).parts if part not in ("..", ".", "/")]
    tried += [root.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((place for place in tried if place.exists() and _is_below(place, root)), None)


def _is_below(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())


def _images_at(root: Path, place: Path) -> Iterator[Path]:
    """Images of a folder, or of a list of their paths, as they are found below the root."""
    if place.is_dir():
        files = find_images(place)
    else:
        lines = (
            [line.strip() for line in read_lines(place, _UNREADABLE)]
            if place.suffix.lower() == ".txt"
            else [str(place)]
        )
        files = [found for line in lines if line and (found := _place_of(root, "", line)) is not None]
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            yield root / file.resolve().relative_to(root.resolve())


# Where their labels are


def _labels(root: Path, found: _Found, texts: set[Path]) -> Path | None:
    """Labels of an image: in ``labels`` of the root, in ``labels`` beside its ``images``, or beside itself."""
    places = []
    folder = folder_named(root, "labels")
    if folder is not None:
        places.append(folder / found.name)
    parts = found.file.relative_to(root).parts
    for place in range(len(parts) - 2, -1, -1):
        beside = folder_named(root.joinpath(*parts[:place]), "labels") if parts[place].lower() == "images" else None
        if beside is not None:
            places.append(beside.joinpath(*parts[place + 1 :]))
            break
    places.append(found.file)
    candidates = (place.with_suffix(suffix) for place in places for suffix in (".txt", ".TXT"))
    return next((candidate for candidate in candidates if candidate in texts), None)


def _check_matched(root: Path, labels: Mapping[Path, Path | None], texts: set[Path], findings: Findings) -> None:
    """Name what looks like labels and belongs to no image, or to two."""
    used = Counter(label for label in labels.values() if label is not None)
    if shared := [label for label, count in used.items() if count > 1]:
        findings.fault(f"{shared[0]}: {used[shared[0]]} images have this stem; give every image its own")
    folders = {file.parent for file in labels}
    unused = sorted(text for text in texts - used.keys() if text.name.lower() != _CLASSES and _holds_labels(text))
    stems = {label.stem for label in used}
    if lost := [text for text in unused if text.stem not in stems]:
        shown = some([str(text.relative_to(root)) for text in lost])
        findings.fault(
            f"{root}: {len(lost)} of {len(used) + len(lost)} label files belong to no image ({shown}); labels have the "
            "same stem as their image and lie in labels beside images, or beside the image: move them or take them away"
        )
    if doubled := [text for text in unused if text.stem in stems]:
        shown = some([str(text.relative_to(root)) for text in doubled])
        findings.warn(f"{root}: {len(doubled)} label files are not read, since others have their stems: {shown}")
    others = Counter(
        file.suffix.lower() for folder in folders for file in folder.iterdir() if file.suffix.lower() in _OTHER_LABELS
    )
    for suffix, count in others.items():
        findings.warn(f"{root}: {count} {suffix} files beside the images are no labels of YOLO, and are not read")


def _holds_labels(text: Path) -> bool:
    """Whether the first line is one of labels; notes and lists of files are not."""
    first = next((line.split() for line in read_lines(text, _UNREADABLE) if line.strip()), [])
    return len(first) >= 5 and all(number_of(field) is not None for field in first)


def _objects(labels: Path, file: Path, names: tuple[str, ...], findings: Findings) -> tuple[RawObject, ...]:
    lines = read_lines(labels, _UNREADABLE)
    filled = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not filled:
        return ()
    size = picture_size(file)[::-1]
    found = (_object(labels, number, fields, names, size, findings) for number, fields in filled)
    return tuple(item for item in found if item is not None)


def _object(
    labels: Path, line: int, fields: Sequence[str], names: tuple[str, ...], size: tuple[int, int], findings: Findings
) -> RawObject | None:
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
        x1, y1, x2, y2 = polygon_box(points)
        if x1 >= x2 or y1 >= y2:
            findings.entry(f"{source}: the polygon of {len(points)} points is empty; it must enclose an area")
            return None
        return RawObject((x1, y1, x2, y2), names[index], source, polygon_rle([points], size))
    x, y, w, h = shares
    if w <= 0 or h <= 0:
        findings.entry(f"{source}: box {w:g} x {h:g} is empty; width and height must be above 0")
        return None
    return RawObject(
        ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height), names[index], source
    )
