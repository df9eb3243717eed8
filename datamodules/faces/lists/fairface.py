"""The lists of FairFace (Karkkainen and Joo, WACV 2021): age, gender and race of each picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from datamodules.common.errors import fail
from datamodules.common.splits import SplitName
from datamodules.faces.lists.demographics import AGES, Marks, marked, one_of
from datamodules.faces.lists.index import ImageIndex, report_lacking
from datamodules.faces.lists.records import FaceList
from datamodules.faces.schema import AttributeSchema
from datamodules.tables.columns import Table
from datamodules.tables.names import plain_name
from datamodules.tables.repeats import Repeats

COLUMNS = ("file", "age", "gender", "race")
TRAIN_LIST, VAL_LIST = "fairface_label_train.csv", "fairface_label_val.csv"
RACES = ("White", "Black", "Latino Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")
_RACES = {name.casefold(): name for name in RACES}
_AGES = {name.removeprefix("Age "): name for name in AGES[:-1]} | {"more than 70": AGES[-1], "70+": AGES[-1]}
_GENDERS = {"male": "Male", "female": "Female"}


def read_fairface(path: str | Path, root: str | Path, schema: AttributeSchema) -> FaceList:
    """Read ``fairface_label_train.csv`` and, where it lies beside it, ``fairface_label_val.csv``.

    Args:
        path: The list of training pictures; any other one is read alone, and names no splits.
        root: Folder of ``train`` and ``val``.
        schema: The attributes.

    Raises:
        LabelError: If a list is malformed or contradicts itself; the message names file and line.
        ConfigurationError: If not one picture is there.
    """
    other = Path(path).with_name(VAL_LIST)
    lists: list[tuple[Path, SplitName | None]] = [(Path(path), None)]
    if Path(path).name == TRAIN_LIST and other.is_file():
        lists = [(Path(path), "train"), (other, "val")]
    names: list[str] = []
    rows: list[Marks] = []
    splits: list[SplitName | None] = []
    sources: list[str] = []
    for file, split in lists:
        table, repeats = Table(file, list(COLUMNS)), Repeats(file)
        for row, *texts in zip(table.rows, *(table.column(name) for name in COLUMNS), strict=True):
            name, age, gender, race = texts
            marks = _marks(file, row.line, age, gender, race)
            if repeats.is_new(row.line, plain_name(name), name, labels=marks):
                names.append(name)
                rows.append(marks)
                splits.append(split)
                sources.append(f"{file}, line {row.line}")
        repeats.report()
    index = ImageIndex(root)
    found = [index.named(name) for name in names]
    absent = [name for name, there in zip(names, found, strict=True) if there is None]
    sought = f"give the folder of train and val as root (looked for {names[0]})"
    report_lacking(path, absent, len(names), f"is below {root}; {sought}", f"are not below {root}")
    faces = FaceList(
        paths=[f"{index.root}/{there}" for there in found],
        names=names,
        identities=[""] * len(names),
        attributes=marked(rows, schema, str(path)),
        boxes=np.full((len(names), 4), np.nan, dtype=np.float32),
        splits=splits,
        sources=sources,
    )
    return faces.take([row for row, there in enumerate(found) if there is not None])


def _marks(path: Path, line: int, age: str, gender: str, race: str) -> dict[str, bool]:
    """Marks of a row; an empty field says nothing."""
    marks: dict[str, bool] = {}
    if age:
        marks |= one_of(AGES, _known(path, line, "age", age, _AGES))
    if gender:
        marks["Male"] = _known(path, line, "gender", gender, _GENDERS) == "Male"
    if race:
        marks |= one_of(RACES, _known(path, line, "race", race, _RACES))
    return marks


def _known(path: Path, line: int, column: str, text: str, names: Mapping[str, str]) -> str:
    found = names.get(text.casefold().replace("_", " "))
    if found is None:
        raise fail(path, line, f"{column} is {text!r}; write one of {', '.join(names)}, or nothing")
    return found
