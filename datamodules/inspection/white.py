"""White of the training images that have more than 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from datamodules.common.errors import LabelError, number_of
from datamodules.common.progress import file_progress
from datamodules.images.levels import Levels, white_of
from datamodules.images.upright import picture_levels
from datamodules.summary.findings import Finding

_DEEP_SUFFIXES: Final = frozenset({".png", ".tif", ".tiff", ".pgm", ".ppm"})
_FEW: Final = 64  # grey levels of 256
_THREADS: Final = 4  # Pillow decodes without holding the interpreter
_TOLD: Final = 100  # pictures from which progress is told


class White(NamedTuple):
    """What was found.

    Attributes:
        level: Value of white; None where no image has more than 8 bits.
        findings: How it is known, and what is odd with the values.
    """

    level: float | None
    findings: list[Finding]


def find_white(paths: Sequence[str], given: float | None) -> White:
    """Look at the values of all images of more than 8 bits; the others are not decoded.

    Args:
        paths: The training images.
        given: White as the user, or a checkpoint, says; None finds it.
    """
    asked = sorted({path for path in paths if Path(path).suffix.lower() in _DEEP_SUFFIXES})
    with ThreadPoolExecutor(_THREADS) as pool:
        levels: list[Levels] = []
        with file_progress("Looking for the white level", len(asked) if len(asked) >= _TOLD else 0) as done:
            for found in pool.map(_levels, asked):
                done()
                levels += [found] if found is not None else []
    if not levels:
        return White(given, [])
    white = given if given is not None else white_of(levels)
    return White(white, _findings(levels, white, given))


def _levels(path: str) -> Levels | None:
    try:
        return picture_levels(path)
    except LabelError:  # which is said where the picture is read
        return None


def _findings(levels: Sequence[Levels], white: float, given: float | None) -> list[Finding]:
    highest = max(one.highest for one in levels)
    stated = all(one.stated is not None for one in levels)
    how = "as given" if given is not None else "by the metadata of the files" if stated else "guessed"
    deep = f"{number_of(len(levels), 'training image')} {'has' if len(levels) == 1 else 'have'} more than 8 bits"
    text = f"{deep}, up to {highest:g}; white is {white:g}, {how}"
    hint = "name another as white_level" if how == "guessed" else ""
    found = [Finding("note", "white", text + (f": {hint} if the camera has" if hint else ""))]
    reached = int(highest / white * 256) if white else 0
    if reached < _FEW:
        text = f"with white at {white:g} the training images reach {reached} of 256 grey levels"
        found.append(
            Finding("warning", "white", text, f"name a white_level near {highest:g}, what the camera can reach")
        )
    if highest > white:
        text = f"white_level is {white:g}, but the training images reach {highest:g}; what is above is cut"
        found.append(Finding("warning", "white", text, "raise white_level"))
    if gaps := sum(one.has_gaps for one in levels):
        found.append(
            Finding("warning", "white", f"{gaps} training images hold values that are no numbers, read as black")
        )
    if below := sum(one.lowest < 0 for one in levels):
        found.append(Finding("warning", "white", f"{below} training images hold values below 0, read as black"))
    return found
