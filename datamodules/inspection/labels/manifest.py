"""The package's own list of images: ``manifest.csv``, with boxes in ``boxes.csv`` beside it.

Columns of the manifest (a header names them; only ``image`` must be there):

=========  ==============================================================================================
image      path relative to the root
mask       path of a mask of the same size; empty: no mask
class      class of a binary mask; empty: pixel v of the mask is class v, 0 healthy, 255 unknown
domain     ``original`` (default) or ``new``
split      ``train``, ``val`` or ``test``; in every row or in none
group      images of one group never lie in two splits
width      of the upright image in pixels, to be held against the file; empty: not checked
height     likewise
healthy    1: flagged free of defects at acquisition, 0: flagged defective; empty: nobody said
labelled   0: nothing is labelled, the image can only be mined; empty or 1: mask and boxes are complete
=========  ==============================================================================================

Columns of the boxes: ``image,x1,y1,x2,y2,class``, pixels of the upright image, x2 and y2 exclusive.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from datamodules.common.errors import LabelError, fail
from datamodules.common.splits import strict_split
from datamodules.images.size import check_label_size
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.labels.records import RawImage, RawObject
from datamodules.summary.findings import Findings
from datamodules.tables.columns import Table
from datamodules.tables.numbers import parse_integer, parse_number

_OPTIONAL = ("mask", "class", "domain", "split", "group", "healthy", "labelled", "width", "height")
_CORNERS = ("x1", "y1", "x2", "y2")
DOMAINS = {"original": ORIGINAL, "new": NEW}


def read_manifest(
    path: str | Path, root: str | Path | None = None, domain: int | None = None, findings: Findings | None = None
) -> list[RawImage]:
    """Read a manifest and the boxes beside it.

    Args:
        path: The manifest.
        root: Folder that names are relative to; None means the folder of the manifest.
        domain: Domain of every row, so that a row which says otherwise is an error; None takes the column.
        findings: Takes empty boxes and sizes that are not the files'; None raises at the first.

    Raises:
        LabelError: If a value is not allowed, an image is named twice, or a class is given without a mask; the message
            names the file and the line.
    """
    path, findings = Path(path), findings or Findings(at_once=True)
    folder = Path(root) if root is not None else path.parent
    table = Table(path, ["image"], _OPTIONAL)
    beside = path.parent / "boxes.csv"
    boxes = read_boxes(beside, "class", others=(), findings=findings) if beside.is_file() else {}
    names = ("image", *_OPTIONAL)
    images: list[RawImage] = []
    first: dict[str, tuple[int, str]] = {}
    for line, texts in table.records(names):
        values = dict(zip(names, texts, strict=True))
        _check_unique(path, line, values["image"], values["split"], first)
        images.append(_image(path, line, folder, values, domain, boxes))
        _check_size(path, line, values, images[-1], findings)
    _check_box_names(path, first, boxes)
    return images


def read_boxes(
    path: Path, class_column: str, others: tuple[str, ...] | None = None, findings: Findings | None = None
) -> dict[str, tuple[RawObject, ...]]:
    """Read ``image,x1,y1,x2,y2`` and a class a row: image name to its boxes.

    Args:
        path: The list.
        class_column: Column of the class.
        others: Further columns that may be there; None allows any.
        findings: Takes empty boxes; None raises at the first.

    Raises:
        LabelError: If a number is malformed, a corner lies before 0 or is not below the opposite one, or the class is
            empty.
    """
    findings = findings or Findings(at_once=True)
    columns = ("image", *_CORNERS, class_column)
    boxes: dict[str, list[RawObject]] = defaultdict(list)
    for line, (name, *corners, class_name) in Table(path, columns, others).records(columns):
        x1, y1, x2, y2 = (parse_number(path, line, *pair) for pair in zip(_CORNERS, corners, strict=True))
        if not (x1 < x2 and y1 < y2):
            box = f"box {x1:g},{y1:g},{x2:g},{y2:g}"
            findings.entry(f"{path}, line {line}: {box} is empty; x1 < x2 and y1 < y2 must hold")
            continue
        if not class_name:
            raise fail(path, line, f"the box of {name!r} has no class; write its name")
        boxes[name].append(RawObject((x1, y1, x2, y2), class_name, f"{path}, line {line}"))
    return {name: tuple(found) for name, found in boxes.items()}


def _image(
    path: Path,
    line: int,
    folder: Path,
    values: dict[str, str],
    domain: int | None,
    boxes: dict[str, tuple[RawObject, ...]],
) -> RawImage:
    if values["class"] and not values["mask"]:
        raise fail(
            path, line, f"class {values['class']!r} has no mask; name the mask, or put the defect's box into boxes.csv"
        )
    return RawImage(
        path=str((folder / values["image"]).absolute()),
        name=values["image"],
        domain=_domain(path, line, values["domain"], domain),
        source=f"{path}, line {line}",
        split=strict_split(path, line, values["split"]),
        group=values["group"] or None,
        mask=str((folder / values["mask"]).absolute()) if values["mask"] else None,
        mask_class=values["class"] or None,
        objects=boxes.get(values["image"], ()),
        is_healthy=_flag(path, line, "healthy", values["healthy"]),
        labelled=_flag(path, line, "labelled", values["labelled"]) is not False,
    )


def _check_size(path: Path, line: int, values: dict[str, str], image: RawImage, findings: Findings) -> None:
    """Hold the size that a row states against its file; that a file is absent is said of all files together."""
    stated = [parse_integer(path, line, name, values[name]) if values[name] else 0 for name in ("width", "height")]
    if not any(stated) or not Path(image.path).is_file():
        return
    reach = [max((item.box[far] for item in image.objects), default=0.0) for far in (2, 3)]
    try:
        check_label_size(image.path, (stated[0], stated[1]), image.source, reach=(reach[0], reach[1]))
    except LabelError as error:
        findings.fault(str(error))


def _check_unique(path: Path, line: int, name: str, split: str, first: dict[str, tuple[int, str]]) -> None:
    if not name:
        raise fail(path, line, "the name of the image is empty; write its path")
    if name in first:
        earlier, other = first[name]
        where = f" in split {other!r}, here in {split!r}" if split != other else ""
        raise fail(path, line, f"{name!r} was already named in line {earlier}{where}; drop one of the two")
    first[name] = (line, split)


def _check_box_names(path: Path, named: dict[str, tuple[int, str]], boxes: dict[str, tuple[RawObject, ...]]) -> None:
    for name, found in boxes.items():
        if name not in named:
            raise LabelError(f"{found[0].source}: image {name!r} is not in {path}; add its row or drop the box")


def _domain(path: Path, line: int, text: str, expected: int | None) -> int:
    if text == "":
        return expected if expected is not None else ORIGINAL
    if text not in DOMAINS:
        raise fail(path, line, f"domain {text!r} must be original or new")
    if expected is not None and DOMAINS[text] != expected:
        raise fail(path, line, f"domain {text!r} in the list of the other domain; move the row or drop the column")
    return DOMAINS[text]


def _flag(path: Path, line: int, name: str, text: str) -> bool | None:
    if text not in ("", "0", "1"):
        raise fail(path, line, f"{name} {text!r} must be 0, 1 or empty")
    return None if text == "" else text == "1"
