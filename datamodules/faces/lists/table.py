"""Faces listed in a csv: the picture, if wanted who it is, its split and its box, and a column for each attribute."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError, fail
from datamodules.common.splits import known_split
from datamodules.faces.lists.index import report_lacking
from datamodules.faces.lists.pubfig import Box, EmptyBoxes, parse_box
from datamodules.faces.lists.records import FaceList, split_of
from datamodules.faces.lists.values import RealValues, attributes_of, match_columns, take_columns
from datamodules.faces.schema import MISSING, AttributeSchema
from datamodules.tables.columns import Table
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import number_of, numbers_of
from datamodules.tables.repeats import Repeats

_log = logging.getLogger(__name__)

BOX_COLUMNS = ("left", "top", "right", "bottom")
FACT_COLUMNS = ("file", "identity", "split", "error", *BOX_COLUMNS)
_CODES = "write 1 (present), 0 (absent), -1 or nothing (missing)"


def read_csv_list(
    path: str | Path,
    root: str | Path | None,
    schema: AttributeSchema,
    *,
    boxes: str | None = None,
    real: RealValues | None = None,
    excluded: Collection[str] = (),
) -> FaceList:
    """Read ``file[,identity][,split][,left,top,right,bottom]`` and a column for each attribute that is known.

    A list holds labels: 1 present, 0 absent, -1 and empty missing; one of 1 and -1 alone writes absent as -1. Real
    values are read only where ``real`` says so. Attributes without a column are missing. A row that repeats another
    counts once; one whose box has no extent, as where a detector found no face, is left out.

    Args:
        path: The list.
        root: Folder that the files are relative to; None takes the folder of the list.
        schema: The attributes.
        boxes: Another csv with the columns file, left, top, right and bottom.
        real: How real values become labels; None where the list holds none.
        excluded: Attributes left out on purpose.

    Raises:
        LabelError: If the list is malformed, holds a value that is no label, contradicts itself over a face, or a face
            has no box though others have one; the message names file and line.
        ConfigurationError: If not one picture is there; those that are gone are named and left out.
    """
    table = Table(path, ["file"])
    names = [name for name in table.columns if name not in FACT_COLUMNS]
    places = match_columns(names, schema, f"{path}, line 1", excluded=excluded, complete=False)
    numbers = _numbers(table, names)
    labels = _labels(table, names, numbers) if real is None else numbers
    values = take_columns(labels if real is None else real.shifted(labels), places)
    folder = Path(root) if root is not None else Path(path).parent
    files = table.column("file")
    known, boxed = _own_boxes(table) if boxes is None else boxes_for(files, boxes)
    faces = FaceList(
        paths=[file_at(folder, file) for file in files],
        names=files,
        identities=table.column("identity"),
        attributes=_as_int8(values) if real is None else attributes_of(values, real.margin),
        boxes=known,
        values=None if real is None else values,
        splits=[known_split(path, line, word, split_of(word)) for line, (word,) in table.records(["split"])],
        sources=[f"{path}, line {row.line}" for row in table.rows],
    )
    once = _once(table, faces)
    read = [not error for error in table.column("error")]  # of a picture that `predict` could not read
    return _existing(path, faces.take([row for row in boxed if row in once and read[row]]))


def boxes_for(names: Sequence[str], path: str | Path) -> tuple[NDArray[np.float32], list[int]]:
    """Boxes of pictures from a csv with the columns file, left, top, right and bottom.

    Args:
        names: The pictures, as their own list or folder writes them.
        path: The csv; its files are compared whole, else by their last part where that is one file's alone.

    Returns:
        float32 ``(N, 4)``, and the rows whose box has an extent; the others are named.

    Raises:
        LabelError: If the list is malformed, contradicts itself, or a picture has no box in it, or no row.
    """
    table, repeats, empty = Table(path, ["file", *BOX_COLUMNS]), Repeats(path), EmptyBoxes(path)
    known: dict[str, Box] = {}
    for row, file, texts in zip(table.rows, table.column("file"), _box_texts(table), strict=True):
        if not any(texts):
            continue  # named below, if its picture is asked for
        box = parse_box(path, row.line, texts)
        if repeats.is_new(row.line, plain_name(file), file, box=box):
            known[plain_name(file)] = box
            empty.adds(row.line, box, file)
    repeats.report()
    last = Counter(Path(file).name for file in known)
    by_last = {Path(file).name: box for file, box in known.items() if last[Path(file).name] == 1}
    found = [known.get(plain_name(name)) or by_last.get(Path(plain_name(name)).name) for name in names]
    without = [name for name, box in zip(names, found, strict=True) if box is None]
    if without:
        raise LabelError(
            f"{path}: {len(without)} of {len(names)} pictures have no face box here, the first is {without[0]}; add "
            "its box, or leave the list out to take whole pictures"
        )
    boxes = np.array(found, dtype=np.float32).reshape(-1, 4)
    return boxes, _with_extent(boxes, empty)


def _numbers(table: Table, names: Sequence[str]) -> NDArray[np.float32]:
    """Values of the attribute columns, float32 ``(N, A)``, NaN where empty."""
    numbers = np.full((len(table.rows), len(names)), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        filled = [(place, text) for place, text in enumerate(table.column(name)) if text]
        found = numbers_of([text for _, text in filled])
        if found is None:
            place, text = next((place, text) for place, text in filled if number_of(text) is None)
            raise fail(table.path, table.rows[place].line, f"{name} is {text!r}; {_CODES}")
        numbers[[place for place, _ in filled], column] = found
    return numbers


def _labels(table: Table, names: Sequence[str], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels of a list that holds no real values, float32 ``(N, A)``: 1, 0, NaN where missing.

    Raises:
        LabelError: If a value is no label; the message names it, its line and, for real values, what to do.
    """
    known = set(np.unique(numbers[~np.isnan(numbers)]).tolist())
    strange = ~np.isnan(numbers) & ~np.isin(numbers, (-1, 0, 1))
    if strange.any():
        place, column = np.argwhere(strange)[0].tolist()
        raise fail(
            table.path,
            table.rows[place].line,
            f"{names[column]} is {numbers[place, column]:g}; {_CODES}. If the list holds real values, say so with "
            "threshold (0.5 for probabilities, 0 for signed scores)",
        )
    if known == {-1.0, 1.0}:
        _log.warning(
            "warning: %s: the values are 1 and -1 alone, so -1 is read as absent, as CelebA writes it; leave fields "
            "empty where nothing is known", table.path,
        )  # fmt: skip
        return np.where(numbers == -1, np.float32(0), numbers)
    return np.where(numbers == -1, np.float32(np.nan), numbers)


def _as_int8(values: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.where(np.isnan(values), MISSING, values).astype(np.int8)


def _box_texts(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*(table.column(name) for name in BOX_COLUMNS), strict=True))


def _own_boxes(table: Table) -> tuple[NDArray[np.float32], list[int]]:
    """Boxes of the list itself, of every face or of none, and the rows that keep theirs."""
    texts = _box_texts(table)
    if not any(any(box) for box in texts):
        return np.full((len(texts), 4), np.nan, dtype=np.float32), list(range(len(texts)))
    boxes, empty = [], EmptyBoxes(table.path)
    for row, file, box in zip(table.rows, table.column("file"), texts, strict=True):
        if not all(box):
            raise fail(
                table.path, row.line, "the face has no box though others have one; fill left, top, right and bottom, "
                "or drop the row"
            )  # fmt: skip
        boxes.append(parse_box(table.path, row.line, box))
        empty.adds(row.line, boxes[-1], file)
    found = np.array(boxes, dtype=np.float32)
    return found, _with_extent(found, empty)


def _with_extent(boxes: NDArray[np.float32], empty: EmptyBoxes) -> list[int]:
    """Rows whose box encloses something; the others are reported."""
    kept: list[int] = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).tolist()
    empty.report(any_full=bool(kept))
    return kept


def _once(table: Table, faces: FaceList) -> set[int]:
    """Rows that repeat no other; a face is a picture and, where it has one, a box in it."""
    repeats = Repeats(table.path)
    kept = set()
    for row, (path, name, box) in enumerate(zip(faces.paths, faces.names, faces.boxes.tolist(), strict=True)):
        key = path if box[0] != box[0] else (path, *box)  # NaN: the whole picture
        split, who, labels = faces.splits[row], faces.identities[row], faces.attributes[row].tolist()
        if repeats.is_new(table.rows[row].line, key, name, split=split, identity=who, attributes=labels):
            kept.add(row)
    repeats.report()
    return kept


def _existing(path: str | Path, faces: FaceList) -> FaceList:
    """The faces whose pictures are there; those that are not are named."""
    there = [row for row, file in enumerate(faces.paths) if Path(file).is_file()]
    absent = [name for name, file in zip(faces.names, faces.paths, strict=True) if not Path(file).is_file()]
    sought = f"give the folder that they are relative to as root (looked for {faces.paths[0]})"
    report_lacking(path, absent, len(faces), f"is there; {sought}", "are not there")
    return faces.take(there)
