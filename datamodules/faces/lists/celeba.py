"""The lists of CelebA (Liu, Luo, Wang, Tang, ICCV 2015): attributes, boxes, partition and identities."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError, fail
from datamodules.faces.lists.index import ImageIndex, report_lacking
from datamodules.faces.lists.pubfig import UNREAD, Box, parse_box
from datamodules.faces.lists.records import FaceList
from datamodules.faces.lists.values import match_columns, take_columns
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema
from datamodules.tables.text import read_text

ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
_VALUES = {"1": 1, "+1": 1, "0": 0, "-1": -1}
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

    Args:
        path: The list of attributes.
        root: Folder of the pictures, of any depth.
        schema: The attributes.
        boxes: ``list_bbox_celeba.txt``, which belongs to the pictures that are not aligned.
        excluded: Attributes left out on purpose.

    Returns:
        The faces in the order of the list, without identities and splits (see ``pairs_of``).

    Raises:
        LabelError: If a list is malformed; the message names file and line.
        ConfigurationError: If not one picture is there, or none has a box.
    """
    header_line, header, records = _read(path)
    places = match_columns(header, schema, f"{path}, line {header_line}", excluded=excluded)
    index = ImageIndex(root)
    files = [index.named(name) for _, name, _ in records]
    absent = [name for (_, name, _), file in zip(records, files, strict=True) if file is None]
    sought = f"give the folder of the pictures as root (looked for {records[0][1]})"
    report_lacking(path, absent, len(records), f"is below {root}; {sought}", f"are not below {root}")
    known = _read_boxes(boxes) if boxes is not None else None
    kept = [place for place, file in enumerate(files) if file is not None]
    boxed = [place for place in kept if known is None or records[place][1] in known]
    bare = [records[place][1] for place in kept if known is not None and records[place][1] not in known]
    report_lacking(path, bare, len(kept), f"has a face box in {boxes}", f"have no face box in {boxes} and are left out")
    names = [records[place][1] for place in boxed]
    return FaceList(
        paths=[f"{index.root}/{files[place]}" for place in boxed],
        names=names,
        identities=[""] * len(boxed),
        attributes=_labels(np.array([records[place][2] for place in boxed], dtype=np.float32), places),
        boxes=np.array(
            [known[name] if known is not None else (np.nan,) * 4 for name in names], dtype=np.float32
        ).reshape(-1, 4),
        sources=[f"{path}, line {records[place][0]}" for place in boxed],
    )


def pairs_of(path: str | Path) -> dict[str, str]:
    """Read a text of two columns, parted by white space, a comma or a tab: the partition or the identities.

    Returns:
        The last column by the first; a first line whose last field is "split" or "identity" is a header.

    Raises:
        LabelError: If the file cannot be read or a line has one field.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_text(path, UNREAD).splitlines(), start=1):
        fields = line.replace(",", " ").split() if "\t" not in line else line.split("\t")
        if not fields or (number == 1 and fields[-1].casefold() in ("split", "partition", "identity")):
            continue
        if len(fields) < 2:
            raise fail(path, number, f"{line.strip()!r} has one field; a name and a value are wanted")
        pairs[" ".join(fields[:-1]).strip()] = fields[-1].strip()
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
    lines = [
        (number, line) for number, line in enumerate(read_text(path, UNREAD).splitlines(), start=1) if line.strip()
    ]
    if lines and lines[0][1].strip().isdigit():
        del lines[0]  # the number of pictures
    if len(lines) < 2:
        raise LabelError(f"{path}: the list has no names of attributes or no picture")
    header_line, header = lines[0][0], lines[0][1].replace(",", " ").split()
    header = header[1:] if header[0].casefold() in ("image_id", "file", "filename") else header
    records = []
    for number, line in lines[1:]:
        name, *texts = line.replace(",", " ").split()
        if len(texts) != len(header):
            raise fail(path, number, f"{len(texts)} values after {name}, expected {len(header)}")
        try:
            values = array("b", map(_VALUES.__getitem__, texts))
        except KeyError as error:
            raise fail(path, number, f"the value {error} is neither 1 (present), -1 (absent) nor 0 (missing)") from None
        records.append((number, name, values))
    return header_line, header, records


def _labels(values: NDArray[np.float32], places: list[int | None]) -> NDArray[np.int8]:
    """CelebA writes absent as -1; the 0 of lists made after it means that nobody looked."""
    chosen = take_columns(values, places)
    return np.where(chosen > 0, PRESENT, np.where(chosen < 0, ABSENT, MISSING)).astype(np.int8)


def _read_boxes(path: str | Path) -> dict[str, Box]:
    """Read ``list_bbox_celeba``: picture, x_1, y_1, width, height."""
    boxes: dict[str, Box] = {}
    for number, line in enumerate(read_text(path, UNREAD).splitlines(), start=1):
        fields = line.replace(",", " ").split()
        if len(fields) < 2 or fields[0] == "image_id":
            continue
        if len(fields) != 5:
            raise fail(path, number, f"{len(fields)} fields, expected image_id, x_1, y_1, width and height")
        left, top, _, _ = texts = fields[1:]
        corner = [str(float(start) + float(span)) if _is_number(start, span) else "?"
                  for start, span in zip(texts[:2], texts[2:], strict=True)]  # fmt: skip
        boxes[fields[0]] = parse_box(path, number, [left, top, *corner])
    if not boxes:
        raise LabelError(f"{path}: the list holds no box; it needs image_id, x_1, y_1, width and height a line")
    return boxes


def _is_number(*texts: str) -> bool:
    try:
        return all(np.isfinite(float(text)) for text in texts)
    except ValueError:
        return False
