"""What the tables of a store cannot check by themselves: whether a value from elsewhere says what its column means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.rows import CORNERS

_NAME = re.compile(r"[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*")


def check_row(table: str, values: Mapping[str, Value]) -> None:
    """Check the values of a row that comes from elsewhere.

    Raises:
        ValueError: If one is malformed; the message names its column, the value and what belongs there.
    """
    for name, value in values.items():
        check = _CHECKS.get((table, name))
        if check is None or value is None:
            continue
        wanted, is_right = check
        try:
            right = is_right(value)
        except (ValueError, TypeError, OSError, RecursionError):
            right = False
        if not right:
            raise ValueError(f"{table}_{name} is {str(value)[:60]!r}: {wanted}")


def check_class(name: Value, thresholds: str) -> None:
    """Check that a class is one of its run.

    Raises:
        ValueError: If it is not.
    """
    known = list(json.loads(thresholds))
    if name is not None and name not in known:
        raise ValueError(f'there is no class "{name!s}" in its run, which has {", ".join(known)}')


def check_place(values: Mapping[str, Value], size: tuple[int, int]) -> None:
    """Check that the box and the region of a detection lie in its image.

    Raises:
        ValueError: If they do not.
    """
    x1, y1, x2, y2 = (float(values[name] or 0) for name in CORNERS)
    if not (0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]):
        raise ValueError(f"the box {x1:g},{y1:g},{x2:g},{y2:g} lies outside its image of {size[0]}x{size[1]} pixels")
    if values["rle"] is not None:
        from datamodules.inspection.store.exchange.regions import require_region  # NumPy is for regions alone

        require_region(str(values["rle"]), size)


def check_answer(values: Mapping[str, Value], shown: Value) -> None:
    """Check that the class of an answer is one that its verdict can name.

    Raises:
        ValueError: If it is not.
    """
    verdict, truth = str(values["verdict"]), values["class"]
    if (verdict == "confirm" and truth != shown) or (verdict == "reclass") > (truth is not None):
        raise ValueError(f"the verdict {verdict} of a detection shown as {shown!r} cannot name the class {truth!r}")
    if verdict not in ("confirm", "reclass") and truth is not None:
        raise ValueError(f"the verdict {verdict} names no class, but {truth!r} is given")


def check_store(store: FeedbackStore) -> None:
    """Check every row of a store from elsewhere.

    Raises:
        StoreError: If the file is damaged.
        LabelError: If a row is malformed; the message names it.
    """
    store.require_whole()
    thresholds = {run["id"]: run["thresholds_json"] for run in store.all("SELECT * FROM run")}
    sizes = {image["id"]: (image["width"], image["height"]) for image in store.all("SELECT * FROM image")}
    shown = {one["id"]: one for one in store.all("SELECT * FROM detection")}
    for table in ("image", "run", "detection", "answer"):
        for row in store.all(f"SELECT * FROM {table} ORDER BY id"):
            values = {name: row[name] for name in row.keys() if name != "embedding"}  # noqa: SIM118  # a Row
            try:
                check_row(table, values)
                if table == "detection":
                    check_place(values, sizes[row["image_id"]])
                if "class" in values:
                    check_class(values["class"], thresholds[row["run_id"]])
                if table == "answer" and row["detection_id"] is not None:
                    asked = shown[row["detection_id"]]
                    check_answer(values, asked["class"])
                    if (asked["run_id"], asked["image_id"]) != (row["run_id"], row["image_id"]):
                        raise ValueError("it is about a detection of another run or image")
            except ValueError as error:
                raise LabelError(f"{store.path}, {table} {row['id']}: {error}") from error


def _is_picture(value: Value) -> bool:
    """No device or pipe, whose bytes never end or never come; a file that is gone is said when it is asked for."""
    path = Path(str(value))
    return not path.exists() or path.is_file()


def _are_thresholds(value: Value) -> bool:
    found = json.loads(str(value))
    names = isinstance(found, dict) and bool(found) and all(name.strip() for name in found)
    return names and all(_is_number(one) and 0 <= one <= 1 for one in found.values())


def _are_boxes(value: Value) -> bool:
    found = json.loads(str(value))
    return isinstance(found, list) and all(len(box) == 4 and all(map(_is_number, box)) for box in found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_DIGEST = ("the SHA-256 of a file belongs there", lambda value: 0 < len(str(value)) <= 64)
_TIME = ("a time such as 2026-11-29T20:51:09+00:00", lambda value: bool(datetime.fromisoformat(str(value))))
_LABEL = ("a name of letters belongs there", lambda value: str(value).strip() != "")
_PERSON = ("a name on one line belongs there", lambda value: _NAME.fullmatch(str(value)) is not None)
_REAL = ("a finite number belongs there", _is_number)
_CHECKS: dict[tuple[str, str], tuple[str, Callable[[Value], bool]]] = {
    ("image", "path"): ("it is no regular file", _is_picture),
    ("image", "sha256"): _DIGEST,
    ("run", "thresholds_json"): ("a JSON object of class names and thresholds in 0..1 belongs there", _are_thresholds),
    ("run", "created"): _TIME,
    ("detection", "class"): _LABEL,
    ("detection", "anchor_boxes"): ("a JSON list of boxes x1, y1, x2, y2 belongs there", _are_boxes),
    **{("detection", name): _REAL for name in ("score", "margin", "entropy", "mc_dropout", "x1", "y1", "x2", "y2")},
    ("answer", "created"): _TIME,
    ("answer", "annotator"): _PERSON,
}
