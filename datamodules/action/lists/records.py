"""What is known of a labelled video before it is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from datamodules.common.splits import SPLITS as SPLITS
from datamodules.common.splits import SplitName as SplitName

_UCF_CLIP = re.compile(r"^(v_.+_g\d+)_c\d+$")  # v_ApplyEyeMakeup_g01_c01: clips of one group show one scene
_KINETICS_CLIP = re.compile(r"^([\w-]{11})_\d{6}_\d{6}$")  # address on YouTube, first and last second


class Picture(NamedTuple):
    """One frame of a video that is stored as pictures: its absolute path and its time in seconds, NaN if unknown."""

    path: str
    time: float


@dataclass(frozen=True)
class ActionVideo:
    """One labelled video, or a labelled part of one.

    Attributes:
        path: Absolute path of the file; of the folder and common stem, where the video is stored as pictures.
        name: The video as its list or folder writes it.
        label: Name of its class.
        group: Videos of one group are never split apart; by default the video itself.
        start: First second that shows the action.
        end: First second that no longer does; None for the end of the file.
        split: Split that the list names; None where it names none.
        pictures: The frames, where the video is stored as pictures; otherwise empty.
        source: List and line, or folder, for messages.
    """

    path: str
    name: str
    label: str
    group: str
    start: float = 0.0
    end: float | None = None
    split: SplitName | None = None
    pictures: tuple[Picture, ...] = ()
    source: str = ""


def group_of(stem: str, default: str) -> str:
    """Group that the naming of UCF101 and Kinetics tells from a stem: clips of one recording; else ``default``.

    Example:
        >>> group_of("v_Archery_g01_c02", "x"), group_of("AbCdEfGhIjK_000010_000020", "x"), group_of("b", "x")
        ('v_Archery_g01', 'AbCdEfGhIjK', 'x')
    """
    found = _UCF_CLIP.match(stem) or _KINETICS_CLIP.match(stem)
    return found.group(1) if found else default


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Say which known names are near, or list the first of them.

    Example:
        >>> did_you_mean("drnking", ["cooking", "drinking"])
        'did you mean drinking?'
    """
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"known are {shown}"
