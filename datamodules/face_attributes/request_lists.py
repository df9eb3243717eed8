"""Requests that come from a picture, from a list, or from the faces of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch

from datamodules.common.errors import ConfigurationError, fail
from datamodules.face_attributes.requests import FaceRequest, check_request, parse_attributes, request_name, thinned
from datamodules.faces.lists.records import FaceList, LabelTable
from datamodules.faces.lists.settings import FaceListSettings, LabelFormat
from datamodules.faces.lists.sources import read_faces
from datamodules.faces.schema import MISSING, AttributeSchema
from datamodules.images.size import picture_size
from datamodules.images.upright import read_picture
from datamodules.tables.columns import Table
from datamodules.tables.names import file_at
from datamodules.tables.numbers import parse_integer
from datamodules.tables.rows import read_rows

ListFormat = Literal["auto", "csv", "celeba", "pubfig", "lfw"]
_TEXT = "attributes"  # column that makes a csv a list of requests
_Box = tuple[float, float, float, float]


def text_request(text: str | list[str], schema: AttributeSchema, force: bool) -> FaceRequest:
    """The request that a text is, see ``parse_attributes``."""
    wanted = parse_attributes(text, schema, force)
    return FaceRequest(wanted, request_name(wanted, schema))


def image_request(
    path: str, text: str | list[str] | None, box: _Box | None, schema: AttributeSchema, force: bool
) -> FaceRequest:
    """The attributes of a real face, which the classifier shall say, but for those that a text names; None names none.

    Raises:
        ConfigurationError: If there is no such picture, or the box is not in it.
        ImageError: If the picture cannot be read.
    """
    if not Path(path).is_file():
        raise ConfigurationError(f"from_image is {path}, and there is no such file; name a picture of a face")
    read_picture(path)  # what cannot be read is said before anything is made
    if box is not None:
        _check_box(box, path)
    unsaid = torch.full((len(schema.attributes),), MISSING, dtype=torch.int8)
    wanted = unsaid if text is None else parse_attributes(text, schema, force)
    return FaceRequest(wanted, _slug(Path(path).stem), source=path, box=box, labelled=False)


def listed_requests(
    path: str, schema: AttributeSchema, force: bool, label_format: ListFormat = "auto"
) -> list[FaceRequest]:
    """The requests of a csv: ``attributes[,name][,seed][,file]``, or faces with a column for each attribute.

    In the first kind ``attributes`` is a text (in quotes where it holds commas) and ``file`` a picture to be laid
    beside the result. In the second, which is the csv of the data module of faces, each face is the request for its own
    labels and lies beside the result; where nothing is said of a face, the classifier says it.

    Args:
        path: The list.
        schema: The attributes.
        force: Take contradictions of texts as they are.
        label_format: What a list of faces is; "auto" looks.

    Raises:
        LabelError: If the list is malformed; the message names file and line.
        ConfigurationError: If a text asks for what cannot be; the message names file and line.
    """
    if label_format == "auto" and _TEXT in read_rows(path)[0].fields:
        return _text_requests(path, schema, force)
    kind: LabelFormat = "list" if label_format == "auto" else label_format
    return face_requests(read_faces(FaceListSettings(labels=path, label_format=kind), schema), schema)


def face_requests(faces: FaceList, schema: AttributeSchema) -> list[FaceRequest]:
    """Each face as the request for its own labels; where these contradict each other, it is said, and tried."""
    found = []
    for row in range(len(faces)):
        wanted = torch.from_numpy(faces.attributes[row])
        check_request(wanted, schema, True, faces.sources[row])
        edges = faces.boxes[row].tolist()
        box = None if edges[0] != edges[0] else cast(_Box, tuple(edges))  # NaN: the whole picture
        name = _slug(Path(faces.names[row]).with_suffix("").as_posix())
        labelled = bool((wanted != MISSING).any())
        found.append(FaceRequest(wanted, name, source=faces.paths[row], box=box, labelled=labelled))
    return found


def drawn_requests(
    table: LabelTable, count: int, schema: AttributeSchema, seed: int, ask_for: int | None
) -> tuple[list[FaceRequest], list[int]]:
    """Label sets, or ``ask_for`` attributes, of faces drawn without replacement as far as there are enough.

    Returns:
        The requests, and the row that each comes from.
    """
    generator = torch.Generator().manual_seed(seed)
    total = len(table.files)
    rows = [row for _ in range(-(-count // total)) for row in torch.randperm(total, generator=generator).tolist()]
    found = []
    for place, row in enumerate(rows[:count]):
        wanted = table.attributes[row]
        wanted = wanted if ask_for is None else thinned(wanted, ask_for, schema, seed + place)
        found.append(FaceRequest(wanted, f"request_{place:05d}", seed=seed + place, source=table.files[row]))
    return found, rows[:count]


def _text_requests(path: str, schema: AttributeSchema, force: bool) -> list[FaceRequest]:
    table = Table(path, [_TEXT], ["name", "seed", "file"])
    found = []
    for line, (text, name, seed, file) in table.records((_TEXT, "name", "seed", "file")):
        try:
            wanted = parse_attributes(text, schema, force)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}, line {line}: {error}") from error
        picture = Path(file_at(Path(path).parent, file)) if file else None
        if picture is not None and not picture.is_file():
            raise fail(path, line, f"there is no picture {picture}; correct the name or leave it empty")
        found.append(
            FaceRequest(
                wanted,
                _slug(name) if name else request_name(wanted, schema),
                seed=parse_integer(path, line, "seed", seed) if seed else None,
                source=str(picture or ""),
            )
        )
    return found


def _check_box(box: _Box, path: str) -> None:
    width, height = picture_size(path)
    left, top, right, bottom = box
    if not (left < right and top < bottom and left < width and top < height and right > 0 and bottom > 0):
        raise ConfigurationError(
            f"box is {list(box)}; left, top, right and bottom must enclose a face in {path}, which is {width}x{height} "
            "pixels"
        )


def _slug(name: str) -> str:
    """A name that is safe as that of a file, in any folder."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name) or "face"
