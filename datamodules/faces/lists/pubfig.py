"""The attribute lists of PubFig and LFW (Kumar, Berg, Belhumeur, Nayar, ICCV 2009), and PubFig's lists of boxes."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.common.errors import LabelError, fail
from datamodules.faces.lists.index import ImageIndex, report_lacking
from datamodules.faces.lists.records import FaceList
from datamodules.faces.lists.values import RealValues, attributes_of, match_columns, take_columns
from datamodules.faces.schema import AttributeSchema
from datamodules.tables.numbers import parse_integer, parse_number, parse_numbers
from datamodules.tables.repeats import Repeats
from datamodules.tables.text import read_lines

_log = logging.getLogger(__name__)

Photo = tuple[str, int]  # person and number of the picture
Box = tuple[float, float, float, float]
# LFW enlarged the boxes of its face detector 2.2 times and resized them to 250 pixels.
_LFW_SIDE, _LFW_ENLARGED = 250.0, 2.2


class Line(NamedTuple):
    """One record of a list with comments: its line, from 1, and its values, which tabs part."""

    number: int
    fields: list[str]


class BoxEntry(NamedTuple):
    """What a list says of a picture: the box of the face in pixels, the file's MD5, which may be its name; the line."""

    box: Box
    digest: str
    source: str


def read_pubfig(
    path: str | Path,
    root: str | Path,
    schema: AttributeSchema,
    *,
    boxes: Sequence[str] = (),
    real: RealValues | None = None,
    excluded: Collection[str] = (),
    lfw: bool = False,
) -> FaceList:
    """Read ``pubfig_attributes.txt`` or ``lfw_attributes.txt``: person, number of the picture, a real value a column.

    Pictures are found as PERSON/PERSON_0001, PERSON/1, PERSON_1 or by their MD5, with any suffix, with spaces or
    underscores. Those that are gone (of PubFig, which only lists addresses, many are) are counted and named, not an
    error.

    Args:
        path: The list.
        root: Folder of the pictures.
        schema: The attributes.
        boxes: PubFig's lists of addresses (``dev_urls.txt``, ``eval_urls.txt``), which hold the boxes.
        real: How its values are read; None takes those above 0 for present.
        excluded: Attributes left out on purpose.
        lfw: Without a list of boxes take LFW's own box, the same in every picture.

    Returns:
        The faces in the order of the list; the person is the identity.

    Raises:
        LabelError: If a list is malformed; the message names file and line.
        ConfigurationError: If not one picture is there, or none has a box.
    """
    header, lines = read_tabbed(path)
    if header.fields[:2] != ["person", "imagenum"]:
        raise fail(path, header.number, f"the columns begin with {header.fields[:2]}, not with person and imagenum")
    source = f"{path}, line {header.number}"
    places = match_columns(header.fields[2:], schema, source, excluded=excluded)
    known = read_boxes(boxes) if boxes else None
    index = ImageIndex(root)
    lines, rows = _once(path, lines, [_row(path, line, len(header.fields)) for line in lines])
    found = [index.first(_stems(photo, known)) for photo, _ in rows]
    names = [f"{person} {number}" for (person, number), _ in rows]
    stem = rows[0][0][0].replace(" ", "_")
    report_lacking(
        path,
        [name for name, file in zip(names, found, strict=True) if file is None],
        len(rows),
        f"is below {root}; give the folder of the pictures as root (looked for {stem}/{stem}_{rows[0][0][1]:04d} and "
        "the like)",
        f"are not below {root}",
    )
    kept = [place for place, file in enumerate(found) if file is not None]
    if known is not None:
        report_lacking(
            path,
            [names[place] for place in kept if rows[place][0] not in known],
            len(kept),
            "has a face box in the lists named by boxes; name those that belong to it (dev_urls.txt, eval_urls.txt)",
            "have no face box and are left out",
        )
        kept = [place for place in kept if rows[place][0] in known]
    real = real or RealValues()
    values = real.shifted(take_columns(np.array([rows[place][1] for place in kept], dtype=np.float32), places))
    files = [found[place] or "" for place in kept]
    return FaceList(
        paths=[f"{index.root}/{file}" for file in files],
        names=files,
        identities=[rows[place][0][0] for place in kept],
        attributes=attributes_of(values, real.margin),
        boxes=np.array([_box(rows[place][0], known, lfw) for place in kept], dtype=np.float32).reshape(-1, 4),
        values=values,
        sources=[f"{path}, line {lines[place].number}" for place in kept],
    )


def read_tabbed(path: str | Path) -> tuple[Line, list[Line]]:
    """Read a text of tab-parted records whose names of the columns stand in its last comment before them.

    Raises:
        LabelError: If the file cannot be read, or has no names or no records.
    """
    header: Line | None = None
    lines: list[Line] = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith("#"):
            fields = [field.strip() for field in line.lstrip("#").strip().split("\t")]
            header = Line(number, fields) if len(fields) > 1 and not lines else header
        elif line.strip():
            lines.append(Line(number, [field.strip() for field in line.split("\t")]))
    if header is None or not lines:
        raise LabelError(
            f"{path}: a list of this kind has the names of its columns in a line that begins with #, parted by tabs, "
            "and at least one record after it"
        )
    return header, lines


def read_boxes(paths: Sequence[str | Path]) -> Mapping[Photo, BoxEntry]:
    """Read lists of addresses: person, imagenum, url, rect (``left,top,right,bottom``), md5sum.

    A box without extent, as a detector writes it that found no face, is as none; it is named.

    Raises:
        LabelError: If a list is malformed, two rows contradict each other over a picture, or no box has an area; the
            message names file and line.
    """
    found: dict[Photo, BoxEntry] = {}
    for path in paths:
        header, lines = read_tabbed(path)
        repeats, empty = Repeats(path), EmptyBoxes(path)
        for name in ("person", "imagenum", "rect"):
            if name not in header.fields:
                raise fail(path, header.number, f"the columns {', '.join(header.fields)} lack {name}")
        place = {name: column for column, name in enumerate(header.fields)}
        for line in lines:
            if len(line.fields) != len(header.fields):
                raise fail(path, line.number, f"{len(line.fields)} fields, expected {len(header.fields)}")
            number = parse_integer(path, line.number, "imagenum", line.fields[place["imagenum"]])
            box = parse_box(path, line.number, line.fields[place["rect"]].split(","))
            digest = line.fields[place["md5sum"]] if "md5sum" in place else ""
            photo = line.fields[place["person"]], number
            if repeats.is_new(line.number, photo, f"{photo[0]} {number}", rect=box) and not empty.adds(
                line.number, box, f"{photo[0]} {number}"
            ):
                found[photo] = BoxEntry(box, digest, f"{path}, line {line.number}")
        repeats.report()
        empty.report(any_full=bool(found))
    return found


class EmptyBoxes:
    """Rows of a list of boxes whose box has no extent: they cost their own face and no other.

    Args:
        path: The list, for messages.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._found: list[tuple[int, str, Box]] = []

    def adds(self, line: int, box: Box, name: str) -> bool:
        """Whether the box of a picture has no extent; if so, it is kept for `report`."""
        empty = box[0] == box[2] or box[1] == box[3]
        if empty:
            self._found.append((line, name, box))
        return empty

    def report(self, any_full: bool) -> None:
        """Name them.

        Raises:
            LabelError: If there is no other box.
        """
        if not self._found:
            return
        line, _, box = self._found[0]
        if not any_full:
            shown = ",".join(f"{edge:g}" for edge in box)
            raise fail(self._path, line, f"the box {shown} has no area, and no row has one; give left,top,right,bottom")
        named = ", ".join(f"{name} (line {line})" for line, name, _ in self._found[:5])
        more = ", ..." if len(self._found) > 5 else ""
        _log.warning(
            "warning: %s: %d face box(es) have no extent, so these faces are left out: %s%s",
            self._path, len(self._found), named, more,
        )  # fmt: skip


def parse_box(path: str | Path, line: int, texts: Sequence[str]) -> Box:
    """Left, top, right and bottom from their texts; they may enclose nothing, see `EmptyBoxes`.

    Raises:
        LabelError: If they are not four numbers, or right or bottom comes before its opposite.
    """
    if len(texts) != 4:
        raise fail(path, line, f"the box {','.join(texts)!r} must be left,top,right,bottom in pixels")
    left, top, right, bottom = (parse_number(path, line, "box", text) for text in texts)
    if right < left or bottom < top:
        raise fail(path, line, f"the box {left:g},{top:g},{right:g},{bottom:g} has no area; right must exceed left")
    return left, top, right, bottom


def _row(path: str | Path, line: Line, width: int) -> tuple[Photo, list[float]]:
    if len(line.fields) != width:
        raise fail(path, line.number, f"{len(line.fields)} fields, expected {width}")
    person, number, *texts = line.fields
    photo = person, parse_integer(path, line.number, "imagenum", number)
    return photo, parse_numbers(path, line.number, "a value", texts)


def _once(
    path: str | Path, lines: list[Line], rows: list[tuple[Photo, list[float]]]
) -> tuple[list[Line], list[tuple[Photo, list[float]]]]:
    """Lines and records without those that repeat others."""
    repeats = Repeats(path)
    kept = [
        place
        for place, (line, (photo, values)) in enumerate(zip(lines, rows, strict=True))
        if repeats.is_new(line.number, photo, f"{photo[0]} {photo[1]}", values=values)
    ]
    repeats.report()
    return [lines[place] for place in kept], [rows[place] for place in kept]


def _stems(photo: Photo, known: Mapping[Photo, BoxEntry] | None) -> list[str]:
    """Names under which collectors keep a picture, the usual ones first."""
    person, number = photo
    stems = [f"{person}/{person}_{number:04d}", f"{person}/{person}_{number}", f"{person}/{number}"]
    stems += [f"{person}/{number:04d}", f"{person}/{number:06d}", f"{person}_{number:04d}", f"{person}_{number}"]
    entry = known.get(photo) if known else None
    return [*stems, entry.digest] if entry is not None and entry.digest else stems


def _box(photo: Photo, known: Mapping[Photo, BoxEntry] | None, lfw: bool) -> Box:
    if known is not None:
        return known[photo].box
    if not lfw:
        return (math.nan,) * 4
    edge = _LFW_SIDE * (1 - 1 / _LFW_ENLARGED) / 2
    return edge, edge, _LFW_SIDE - edge, _LFW_SIDE - edge
