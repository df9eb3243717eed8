"""Faces listed in a csv: the picture, if wanted who it is, its split and its box, and a column for each attribute."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError, fail
from datamodules.common.splits import known_split
from datamodules.faces.lists.index import report_lacking
from datamodules.faces.lists.pubfig import Box, parse_box
from datamodules.faces.lists.records import FaceList, split_of
from datamodules.faces.lists.values import attributes_of, match_columns, take_columns
from datamodules.faces.schema import MISSING, AttributeSchema
from datamodules.tables.columns import Table

BOX_COLUMNS = ("left", "top", "right", "bottom")
FACT_COLUMNS = ("file", "identity", "split", *BOX_COLUMNS)


def read_csv_list(
    path: str | Path,
    root: str | Path | None,
    schema: AttributeSchema,
    *,
    boxes: str | None = None,
    missing_margin: float = 0.0,
    excluded: Collection[str] = (),
) -> FaceList:
    """Read ``file[,identity][,split][,left,top,right,bottom]`` and a column for each attribute that is known.

    A list whose values are all 1, 0, -1 or empty holds labels (-1 and empty: missing); any other holds real values, of
    which those above 0 mean present. Attributes without a column are missing.

    Args:
        path: The list.
        root: Folder that the files are relative to; None takes the folder of the list.
        schema: The attributes.
        boxes: Another csv with the columns file, left, top, right and bottom.
        missing_margin: Absolute value below which an attribute is missing, where values are real.
        excluded: Attributes left out on purpose.

    Raises:
        LabelError: If the list is malformed, or a face has no box though others have one; the message names file and
            line.
        ConfigurationError: If not one picture is there; those that are gone are named and left out.
    """
    table = Table(path, ["file"])
    names = [name for name in table.columns if name not in FACT_COLUMNS]
    source = f"{path}, line 1"
    places = match_columns(names, schema, source, excluded=excluded, complete=False)
    numbers = _numbers(table, names)
    real = _is_real(path, numbers)
    values = take_columns(numbers, places)
    folder = Path(root) if root is not None else Path(path).parent
    files = table.column("file")
    faces = FaceList(
        paths=[str((folder / file).absolute()) for file in files],
        names=files,
        identities=table.column("identity"),
        attributes=attributes_of(values, missing_margin) if real else _labels(values),
        boxes=_own_boxes(table) if boxes is None else boxes_for(files, boxes),
        values=values if real else None,
        splits=[known_split(path, line, word, split_of(word)) for line, (word,) in table.records(["split"])],
        sources=[f"{path}, line {row.line}" for row in table.rows],
    )
    return _existing(path, faces)


def boxes_for(names: Sequence[str], path: str | Path) -> NDArray[np.float32]:
    """Boxes of pictures from a csv with the columns file, left, top, right and bottom.

    Args:
        names: The pictures, as their own list or folder writes them.
        path: The csv; its files are compared whole, else by their last part.

    Returns:
        float32 ``(N, 4)``.

    Raises:
        LabelError: If the list is malformed or a picture has no box in it, or no row.
    """
    table = Table(path, ["file", *BOX_COLUMNS])
    known: dict[str, Box] = {}
    for row, file, box in zip(table.rows, table.column("file"), _box_texts(table), strict=True):
        if not any(box):
            continue  # named below, if its picture is asked for
        known[file] = parse_box(path, row.line, box)
        known.setdefault(Path(file).name, known[file])
    without = [name for name in names if name not in known and Path(name).name not in known]
    if without:
        raise LabelError(
            f"{path}: {len(without)} of {len(names)} pictures have no face box here, the first is {without[0]}; add "
            "its box, or leave the list out to take whole pictures"
        )
    found = [known[name] if name in known else known[Path(name).name] for name in names]
    return np.array(found, dtype=np.float32).reshape(-1, 4)


def _numbers(table: Table, names: Sequence[str]) -> NDArray[np.float32]:
    """Values of the attribute columns, float32 ``(N, A)``, NaN where empty."""
    numbers = np.full((len(table.rows), len(names)), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        for place, (row, text) in enumerate(zip(table.rows, table.column(name), strict=True)):
            if not text:
                continue
            try:
                numbers[place, column] = float(text)
            except ValueError as error:
                raise fail(
                    table.path, row.line, f"{name} is {text!r}; write 1 (present), 0 (absent), -1 or nothing (missing)"
                ) from error
            if not np.isfinite(numbers[place, column]):
                raise fail(table.path, row.line, f"{name} is {text!r}; leave it empty where nothing is known")
    return numbers


def _is_real(path: str | Path, numbers: NDArray[np.float32]) -> bool:
    """Whether the list holds real values.

    Raises:
        LabelError: If it holds 1 and -1 alone, which mean present and absent in some lists and missing in others.
    """
    known = set(np.unique(numbers[~np.isnan(numbers)]).tolist())
    if known == {-1.0, 1.0}:
        raise LabelError(
            f"{path}: the values are 1 and -1 alone, and -1 means missing here; write absent as 0, or, where every "
            "attribute has a column and no name holds a space, read the list with label_format celeba, where -1 means "
            "absent"
        )
    return not known <= {-1.0, 0.0, 1.0}


def _labels(values: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.where(np.isnan(values), MISSING, values).astype(np.int8)


def _box_texts(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*(table.column(name) for name in BOX_COLUMNS), strict=True))


def _own_boxes(table: Table) -> NDArray[np.float32]:
    """Boxes of the list itself: of every face or of none."""
    texts = _box_texts(table)
    if not any(any(box) for box in texts):
        return np.full((len(texts), 4), np.nan, dtype=np.float32)
    boxes = []
    for row, box in zip(table.rows, texts, strict=True):
        if not all(box):
            raise fail(
                table.path, row.line, "the face has no box though others have one; fill left, top, right and bottom, "
                "or drop the row"
            )  # fmt: skip
        boxes.append(parse_box(table.path, row.line, box))
    return np.array(boxes, dtype=np.float32)


def _existing(path: str | Path, faces: FaceList) -> FaceList:
    """The faces whose pictures are there; those that are not are named."""
    there = [row for row, file in enumerate(faces.paths) if Path(file).is_file()]
    absent = [name for name, file in zip(faces.names, faces.paths, strict=True) if not Path(file).is_file()]
    sought = f"give the folder that they are relative to as root (looked for {faces.paths[0]})"
    report_lacking(path, absent, len(faces), f"is there; {sought}", "are not there")
    return faces.take(there)
