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


def check_store(store: FeedbackStore) -> None:
    """Check every row of a store from elsewhere.

    Raises:
        StoreError: If the file is damaged.
        LabelError: If a row is malformed; the message names it.
    """
    store.require_whole()
    thresholds = {run["id"]: run["thresholds_json"] for run in store.all("SELECT * FROM run")}
    for table in ("image", "run", "detection", "answer"):
        for row in store.all(f"SELECT * FROM {table} ORDER BY id"):
            values = {name: row[name] for name in row.keys() if name != "embedding"}  # noqa: SIM118  # a Row
            try:
                check_row(table, values)
                if "class" in values:
                    check_class(values["class"], thresholds[row["run_id"]])
            except ValueError as error:
                raise LabelError(f"{store.path}, {table} {row['id']}: {error}") from error


def _is_picture(value: Value) -> bool:
    """No device or pipe, whose bytes never end or never come; a file that is gone is said when it is asked for."""
    path = Path(str(value))
    return not path.exists() or path.is_file()


def _are_thresholds(value: Value) -> bool:
    found = json.loads(str(value))
    names = isinstance(found, dict) and bool(found) and all(_NAME.fullmatch(name) for name in found)
    return names and all(_is_number(one) and 0 <= one <= 1 for one in found.values())


def _are_boxes(value: Value) -> bool:
    found = json.loads(str(value))
    return isinstance(found, list) and all(len(box) == 4 and all(map(_is_number, box)) for box in found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_region(value: Value) -> bool:
    from datamodules.inspection.store.exchange.regions import counts_of  # NumPy is for regions alone

    return min(counts_of(str(value)), default=0) >= 0


_DIGEST = ("the SHA-256 of a file belongs there", lambda value: 0 < len(str(value)) <= 64)
_TIME = ("a time such as 2026-11-29T20:51:09+00:00", lambda value: bool(datetime.fromisoformat(str(value))))
_LABEL = ("a name of letters belongs there", lambda value: _NAME.fullmatch(str(value)) is not None)
_REAL = ("a finite number belongs there", _is_number)
_CHECKS: dict[tuple[str, str], tuple[str, Callable[[Value], bool]]] = {
    ("image", "path"): ("it is no regular file", _is_picture),
    ("image", "sha256"): _DIGEST,
    ("run", "thresholds_json"): ("a JSON object of class names and thresholds in 0..1 belongs there", _are_thresholds),
    ("run", "created"): _TIME,
    ("detection", "class"): _LABEL,
    ("detection", "rle"): ("a run-length string of the COCO format belongs there", _is_region),
    ("detection", "anchor_boxes"): ("a JSON list of boxes x1, y1, x2, y2 belongs there", _are_boxes),
    **{("detection", name): _REAL for name in ("score", "margin", "entropy", "mc_dropout", "x1", "y1", "x2", "y2")},
    ("answer", "created"): _TIME,
    ("answer", "annotator"): _LABEL,
}
