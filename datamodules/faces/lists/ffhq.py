"""Attributes of FFHQ (Karras, Laine and Aila, CVPR 2019) as the FFHQ features data set has them: a JSON a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from datamodules.common.errors import LabelError
from datamodules.common.progress import file_progress
from datamodules.faces.lists.demographics import Marks, age_of, marked, one_of
from datamodules.faces.lists.index import ImageIndex, report_lacking
from datamodules.faces.lists.records import FaceList
from datamodules.faces.schema import AttributeSchema
from datamodules.tables.json import read_json

_LAYOUT = "give the json of a picture as the FFHQ features data set has it, or one of all by name"
_EYEWEAR = {"NoGlasses": "No Eyewear", "ReadingGlasses": "Eyeglasses", "Sunglasses": "Sunglasses"}
_HAIR = {"black": "Black Hair", "blond": "Blond Hair", "brown": "Brown Hair", "gray": "Gray Hair", "red": "Red Hair"}
_SHOWN = 0.5  # confidence, or strength, from which an attribute is present


def read_ffhq(labels: str | Path, root: str | Path, schema: AttributeSchema) -> FaceList:
    """Read a folder of JSON files named as their pictures, or one file of all: attributes of the first face of each.

    A picture in which no face was found is kept, with nothing known of it.

    Args:
        labels: The folder, or the file.
        root: Folder of the pictures, of any depth.
        schema: The attributes.

    Raises:
        LabelError: If a file is malformed; the message names it.
        ConfigurationError: If not one picture is there.
    """
    index = ImageIndex(root)
    told = list(_records(Path(labels)))
    found = [index.first([stem]) for stem, _, _ in told]
    absent = [stem for (stem, _, _), file in zip(told, found, strict=True) if file is None]
    sought = f"give the folder of the pictures as root (looked for {told[0][0]})"
    report_lacking(labels, absent, len(told), f"is below {root}; {sought}", f"are not below {root}")
    kept = [(file, content, source) for (_, content, source), file in zip(told, found, strict=True) if file is not None]
    return FaceList(
        paths=[f"{index.root}/{file}" for file, _, _ in kept],
        names=[file for file, _, _ in kept],
        identities=[""] * len(kept),
        attributes=marked([_marks(content, source) for _, content, source in kept], schema, str(labels)),
        boxes=np.full((len(kept), 4), np.nan, dtype=np.float32),
        sources=[source for _, _, source in kept],
    )


def _records(labels: Path) -> Iterator[tuple[str, object, str]]:
    """Name of each picture without suffix, what is said of it, and where."""
    if labels.is_file():
        content = read_json(labels, _LAYOUT)
        if not isinstance(content, Mapping) or not content:
            raise LabelError(f"{labels} holds no object of pictures; {_LAYOUT}")
        yield from ((Path(str(name)).stem, value, f"{labels}, {name}") for name, value in content.items())
        return
    files = sorted(labels.glob("*.json"))
    if not files:
        raise LabelError(f"{labels} holds no json; {_LAYOUT}")
    with file_progress("Reading what is known of the pictures", len(files)) as done:
        for file in files:
            yield file.stem, read_json(file, _LAYOUT), str(file)
            done()


def _marks(content: object, source: str) -> Marks:
    face = content[0] if isinstance(content, list) and content else content
    if face == []:
        return {}
    told = face.get("faceAttributes") if isinstance(face, Mapping) else None
    if not isinstance(told, Mapping):
        raise LabelError(f"{source} has no faceAttributes; {_LAYOUT}")
    try:
        return _told(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(f"{source}: the faceAttributes are not understood ({error!r}); {_LAYOUT}") from error


def _told(told: Mapping[str, object]) -> dict[str, bool]:
    """Marks of one face; what is not told is missing."""
    marks: dict[str, bool] = {}
    if told.get("gender") is not None:
        marks["Male"] = {"male": True, "female": False}[str(told["gender"]).casefold()]
    if told.get("age") is not None:
        marks |= age_of(_number(told["age"]))
    if told.get("smile") is not None:
        marks["Smiling"] = _number(told["smile"]) >= _SHOWN
    if told.get("glasses") in _EYEWEAR:
        marks |= one_of(list(_EYEWEAR.values()), _EYEWEAR[str(told["glasses"])])
    marks |= _strong(told.get("facialHair"), {"moustache": "Mustache", "beard": "Beard", "sideburns": "Sideburns"})
    marks |= _strong(told.get("makeup"), {"eyeMakeup": "Eye Makeup", "lipMakeup": "Wearing Lipstick"})
    if told.get("accessories") is not None:
        marks["Wearing Hat"] = any(kind == "headWear" for kind in _strongest(told["accessories"], "type"))
    hair = told.get("hair")
    if isinstance(hair, Mapping):
        marks |= _strong(hair, {"bald": "Bald"})
        colours = [colour for colour in _strongest(hair.get("hairColor") or [], "color") if colour in _HAIR]
        if colours:
            marks |= one_of(list(_HAIR.values()), _HAIR[colours[0]])
    return marks


def _strong(values: object, names: Mapping[str, str]) -> dict[str, bool]:
    """Which of some strengths in 0..1, or yes and no, are strong enough."""
    if not isinstance(values, Mapping):
        return {}
    return {name: _number(values[key]) >= _SHOWN for key, name in names.items() if values.get(key) is not None}


def _strongest(entries: object, key: str) -> list[str]:
    """What entries with a confidence name, the surest first, those in doubt left out."""
    if not isinstance(entries, list):
        raise TypeError(f"{entries!r} is no list")
    sure = [(_number(entry["confidence"]), str(entry[key])) for entry in entries]
    return [name for confidence, name in sorted(sure, reverse=True) if confidence >= _SHOWN]


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
