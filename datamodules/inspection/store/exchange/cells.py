"""Cells of the table of answers: safe in a spreadsheet, and checked before a row is taken over."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from datamodules.inspection.store.rows import CORNERS
from datamodules.tables.names import file_at
from datamodules.tables.numbers import number_of, whole_of

_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would run, and what already looks quoted
_DIGEST = re.compile(r"[0-9a-f]{64}")


def quoted(value: object) -> object:
    """A value of a cell; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Example:
        >>> quoted("=1+1"), quoted("a=b"), quoted(-0.5)
        ("'=1+1", 'a=b', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def unquoted(text: str) -> str:
    """The text that `quoted` made safe."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def check_row(row: Mapping[str, str], folder: Path) -> None:
    """Refuse what the page or an export would stumble over, but no table of SQLite does.

    Args:
        row: Texts by column.
        folder: Folder of the list, for paths that are relative.

    Raises:
        ValueError: Naming the column and its value.
    """
    for place in {file_at(folder, row["image_path"]), file_at(".", row["image_path"])}:
        if Path(place).exists() and not Path(place).is_file():
            raise _wrong(row, "image_path", "is no regular file")
    for name in ("image_sha256", "run_checkpoint_sha256", "run_data_sha256"):
        if not _DIGEST.fullmatch(row[name]):
            raise _wrong(row, name, "is no SHA-256 of 64 hexadecimal digits")
    _check_time(row, "run_created")
    classes = _classes(row)
    if row["detection_id"]:
        _check_class(row, "detection_class", classes)
        _check_boxes(row)
        _check_place(row)
    if row["answer_client_id"]:
        _check_time(row, "answer_created")
        _check_class(row, "answer_class", classes)
        _check_answer(row)


def _classes(row: Mapping[str, str]) -> Sequence[str]:
    thresholds = _json(row, "run_thresholds_json")
    if not isinstance(thresholds, dict) or not all(_is_number(value) for value in thresholds.values()):
        raise _wrong(row, "run_thresholds_json", "is no object of a number for each class")
    return list(thresholds)


def _check_class(row: Mapping[str, str], name: str, classes: Sequence[str]) -> None:
    if row[name] and row[name] not in classes:
        raise _wrong(row, name, f"is no class of its run, which knows {', '.join(classes)}")


def _check_boxes(row: Mapping[str, str]) -> None:
    boxes = _json(row, "detection_anchor_boxes") if row["detection_anchor_boxes"] else []
    right = isinstance(boxes, list) and all(
        isinstance(box, list) and len(box) == 4 and all(_is_number(edge) and math.isfinite(edge) for edge in box)
        for box in boxes
    )
    if not right:
        raise _wrong(row, "detection_anchor_boxes", "is no list of boxes of four numbers")


def _check_place(row: Mapping[str, str]) -> None:
    """Box and region lie in the image."""
    width, height = (whole_of(row[f"image_{name}"]) or 0 for name in ("width", "height"))
    x1, y1, x2, y2 = corners = [number_of(row[f"detection_{name}"]) for name in CORNERS]
    for name, value in zip(CORNERS, corners, strict=True):
        if value is None:
            raise _wrong(row, f"detection_{name}", "is no number")
    if not (0 <= (x1 or 0) < (x2 or 0) <= width and 0 <= (y1 or 0) < (y2 or 0) <= height):
        raise _wrong(row, "detection_x2", f"and the other corners lie outside an image of {width}x{height} pixels")
    if row["detection_rle"]:
        from datamodules.inspection.store.exchange.regions import require_region  # NumPy is for regions alone

        try:
            require_region(row["detection_rle"], (width, height))
        except ValueError as error:
            raise _wrong(row, "detection_rle", f"is no region: {error}") from None


def _check_answer(row: Mapping[str, str]) -> None:
    """The verdict can name the class that it names."""
    verdict, truth = row["answer_verdict"], row["answer_class"]
    shown = row["detection_class"]
    right = truth == shown if verdict == "confirm" else bool(truth) == (verdict == "reclass")
    if not right:
        raise _wrong(row, "answer_class", f"does not go with the verdict {verdict} of a detection shown as {shown!r}")
    if not row["answer_annotator"].strip():
        raise _wrong(row, "answer_annotator", "names nobody")


def _check_time(row: Mapping[str, str], name: str) -> None:
    try:
        datetime.fromisoformat(row[name])
    except ValueError:
        raise _wrong(row, name, "is no time, such as 2026-11-29T20:52:34+00:00") from None


def _json(row: Mapping[str, str], name: str) -> object:
    try:
        content: object = json.loads(row[name])
    except (ValueError, RecursionError):
        raise _wrong(row, name, "is no JSON") from None
    return content


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(row: Mapping[str, str], name: str, problem: str) -> ValueError:
    return ValueError(f"{name} {row[name][:80]!r} {problem}")
