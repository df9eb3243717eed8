"""The lists of CelebA (Liu, Luo, Wang, Tang, ICCV 2015): attributes, boxes, partition and identities."""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError, fail
from datamodules.faces.lists.index import ImageIndex, report_lacking
from datamodules.faces.lists.pubfig import Box, EmptyBoxes
from datamodules.faces.lists.records import FaceList
from datamodules.faces.lists.values import match_columns, take_columns
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema
from datamodules.tables.names import plain_name
from datamodules.tables.numbers import parse_numbers, whole_of
from datamodules.tables.repeats import Repeats
from datamodules.tables.text import read_lines

_log = logging.getLogger(__name__)

ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
_VALUES = {"1": 1, "+1": 1, "0": 0, "-1": -1, "1.0": 1, "0.0": 0, "-1.0": -1}
_FOLDERS = (".", "Anno", "Eval", "../Eval", "../Anno")  # where the archive has them, from the attribute list


def read_celeba(
    path: str | Path,
    root: str | Path,
    schema: AttributeSchema,
    *,
    boxes: str | None = None,
    excluded: Collection[str] = (),
) -> FaceList:
    """Read ``list_attr_celeba.txt`` (or the csv of the same name): a picture a line, -1 or 1 for each attribute.

    A list of 0 and 1 alone writes absent as 0; in one that has -1 too, 0 means that nobody looked.

    Args:
        path: The list of attributes.
        root: Folder of the pictures, of any depth.
        schema: The attributes.
        boxes: ``list_bbox_celeba.txt``, which belongs to the pictures that are not aligned.
        excluded: Attributes left out on purpose.

    Returns:
        The faces in the order of the list, without identities and splits (see ``pairs_of``).

    Raises:
        LabelError: If a list is malformed or contradicts itself; the message names file and line.
        ConfigurationError: If not one picture is there, or none has a box.
    """
    header_line, header, records = _read(path)
    places = match_columns(header, schema, f"{path}, line {header_line}", excluded=excluded)
    index = ImageIndex(root)
    zero = _meaning_of_zero(path, records)
    files = [index.named(name) for _, name, _ in records]
    absent = [name for (_, name, _), file in zip(records, files, strict=True) if file is None]
    sought = f"give the folder of the pictures as root (looked for {records[0][1]})"
    report_lacking(path, absent, len(records), f"is below {root}; {sought}", f"are not below {root}")
    known = _read_boxes(boxes) if boxes is not None else None
    kept = [place for place, file in enumerate(files) if file is not None]
    boxed = [place for place in kept if known is None or known.get(plain_name(records[place][1])) is not None]
    bare = [
        records[place][1]
        for place in kept
        if known is not None and (not boxed or plain_name(records[place][1]) not in known)
    ]
    report_lacking(path, bare, len(kept), f"has a face box in {boxes}", f"have no face box in {boxes} and are left out")
    names = [records[place][1] for place in boxed]
    return FaceList(
        paths=[f"{index.root}/{files[place]}" for place in boxed],
        names=names,
        identities=[""] * len(boxed),
        attributes=_labels(np.array([records[place][2] for place in boxed], dtype=np.float32), places, zero),
        boxes=np.array(
            [known[plain_name(name)] if known is not None else (np.nan,) * 4 for name in names], dtype=np.float32
        ).reshape(-1, 4),
        sources=[f"{path}, line {records[place][0]}" for place in boxed],
    )


def pairs_of(path: str | Path) -> dict[str, str]:
    """Read a text of two columns, parted by white space, a comma, a semicolon or a tab: partition or identities.

    Returns:
        The last column by the first, whose names are spelt as by `plain_name`; a first line whose last field is "split"
        or "identity" is a header.

    Raises:
        LabelError: If the file cannot be read, a line has one field, or two lines contradict each other.
    """
    pairs: dict[str, str] = {}
    repeats = Repeats(path)
    for number, line in enumerate(read_lines(path), start=1):
        fields = _fields(line, next((mark for mark in "\t;," if mark in line), None))
        if not fields or (number == 1 and fields[-1].casefold() in ("split", "partition", "identity")):
            continue
        if len(fields) < 2:
            raise fail(path, number, f"{line.strip()!r} has one field; a name and a value are wanted")
        name, value = " ".join(fields[:-1]).strip(), fields[-1].strip()
        if repeats.is_new(number, plain_name(name), name, value=value):
            pairs[plain_name(name)] = value
    repeats.report()
    if not pairs:
        raise LabelError(f"{path}: the list is empty; it needs a name and a value a line")
    return pairs


def beside(path: str | Path, stem: str) -> str | None:
    """The list of CelebA that lies where the archive has it beside the attribute list; None if it does not."""
    for folder in _FOLDERS:
        for suffix in (".txt", ".csv"):
            file = Path(path).parent / folder / f"{stem}{suffix}"
            if file.is_file():
                return str(file)
    return None


def _read(path: str | Path) -> tuple[int, list[str], list[tuple[int, str, array[int]]]]:
    """Line and names of the columns, and line, picture and values of each record."""
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if lines and whole_of(lines[0][1].strip(" \t,;")) is not None:
        del lines[0]  # the number of pictures
    if len(lines) < 2:
        raise LabelError(f"{path}: the list has no names of attributes or no picture")
    separator = next((mark for mark in "\t;," if mark in lines[0][1].strip()), None)
    header_line, header = lines[0][0], _fields(lines[0][1], separator)
    header = header[1:] if header[0].casefold() in ("image_id", "file", "filename", "") else header
    records, repeats = [], Repeats(path)
    for number, line in lines[1:]:
        name, *texts = _fields(line, separator) or [""]
        if not name and not texts:
            continue  # nothing but separators, as spreadsheets write
        if len(texts) != len(header):
            raise fail(path, number, f"{len(texts)} values after {name}, expected {len(header)}")
        try:
            values = array("b", map(_VALUES.__getitem__, texts))
        except KeyError as error:
            column = header[next(place for place, text in enumerate(texts) if text not in _VALUES)]
            raise fail(
                path,
                number,
                f"the value {error} is neither 1 (present), -1 (absent) nor 0 (absent where no -1 is in the list, else "
                f"missing); correct {column} of {name}",
            ) from None
        if repeats.is_new(number, plain_name(name), name, attributes=values):
            records.append((number, name, values))
    repeats.report()
    return header_line, header, records


def _fields(line: str, separator: str | None) -> list[str]:
    """Fields of a line that a separator parts, None: white space; empty ones at the end go."""
    fields = line.split() if separator is None else [field.strip().strip('"') for field in line.split(separator)]
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _meaning_of_zero(path: str | Path, records: Sequence[tuple[int, str, array[int]]]) -> int:
    """Absent in a list of 0 and 1; in one that writes absent as -1, that nobody looked."""
    counts = Counter(value for _, _, values in records for value in values)
    if not counts[0]:
        return MISSING
    zero = MISSING if counts[-1] else ABSENT
    _log.info(
        "%s: %d values are 0 and %d are -1, so 0 is read as %s",
        path, counts[0], counts[-1], "absent" if zero == ABSENT else "missing",
    )  # fmt: skip
    return zero


def _labels(values: NDArray[np.float32], places: list[int | None], zero: int) -> NDArray[np.int8]:
    chosen = take_columns(values, places)
    labels = np.where(chosen > 0, PRESENT, np.where(chosen < 0, ABSENT, zero))
    return np.where(np.isnan(chosen), MISSING, labels).astype(np.int8)


def _read_boxes(path: str | Path) -> dict[str, Box | None]:
    """Read ``list_bbox_celeba``: picture, x_1, y_1, width, height; boxes of zeros are named, and None stands for them.

    Raises:
        LabelError: If a line is malformed, or no box encloses anything.
    """
    boxes: dict[str, Box | None] = {}
    repeats, empty = Repeats(path), EmptyBoxes(path)
    for number, line in enumerate(read_lines(path), start=1):
        fields = _fields(line, next((mark for mark in "\t;," if mark in line), None))
        if len(fields) < 2 or fields[0] == "image_id":
            continue
        if len(fields) != 5:
            raise fail(path, number, f"{len(fields)} fields, expected image_id, x_1, y_1, width and height")
        left, top, width, height = parse_numbers(path, number, "box", fields[1:])
        if width < 0 or height < 0:
            raise fail(path, number, f"the box has width {width:g} and height {height:g}; none may be below 0")
        box, name = (left, top, left + width, top + height), plain_name(fields[0])
        if repeats.is_new(number, name, fields[0], box=box):
            boxes[name] = None if empty.adds(number, box, fields[0]) else box
    repeats.report()
    empty.report(any_full=any(boxes.values()))
    if not boxes:
        raise LabelError(f"{path}: the list holds no box; it needs image_id, x_1, y_1, width and height a line")
    return boxes
