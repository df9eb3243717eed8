"""Pictures of UTKFace (Zhang, Song and Qi, CVPR 2017), whose names tell age, gender and race."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from datamodules.faces.lists.demographics import Marks, age_of, marked, one_of
from datamodules.faces.lists.index import images_at, report_lacking
from datamodules.faces.lists.records import FaceList
from datamodules.faces.schema import AttributeSchema

_log = logging.getLogger(__name__)

RACES = ("White", "Black", "Asian", "Indian", "Others")  # by their numbers
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\D*")  # 26_1_0_20170116.jpg.chip.jpg


def read_utkface(root: str | Path, schema: AttributeSchema) -> FaceList:
    """Read a folder of pictures that are named age_gender_race_date: gender 0 is male, races are 0..4.

    Pictures of other names, of which the published set has a few, are named and left out.

    Raises:
        ConfigurationError: If there is no picture, or not one name tells these.
    """
    found = images_at([root])
    told = [_NAME.fullmatch(file.name.partition(".")[0]) for file, _ in found]
    report_lacking(
        root,
        [name for (_, name), match in zip(found, told, strict=True) if match is None],
        len(found),
        "is named age_gender_race_date (26_1_0_20170116174525125.jpg), as UTKFace names its pictures",
        "are not named age_gender_race_date and are left out",
    )
    kept = [(file, name, match) for (file, name), match in zip(found, told, strict=True) if match is not None]
    rows: list[Marks] = [
        {"Male": match["gender"] == "0"} | one_of(RACES, RACES[int(match["race"])]) | age_of(int(match["age"]))
        for _, _, match in kept
    ]
    return FaceList(
        paths=[str(file) for file, _, _ in kept],
        names=[name for _, name, _ in kept],
        identities=[""] * len(kept),
        attributes=marked(rows, schema, str(root)),
        boxes=np.full((len(kept), 4), np.nan, dtype=np.float32),
    )
