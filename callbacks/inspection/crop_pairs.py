"""Pairs of crops, before and after, on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLUMNS = 4
_GAP = 0.04  # between the two crops, of their side
_RED, _GREEN, _GREY = "#e31a1c", "#33a02c", "#8a8a8a"


class SheetEntry(NamedTuple):
    """One pair.

    Attributes:
        titles: Above the left and above the right crop.
        note: Small print below it.
        crop: uint8 ``(S, S, 3)``.
        region: bool ``(2, S, S)``, what is detected before and after.
    """

    titles: tuple[str, str]
    note: str
    crop: NDArray[np.uint8]
    region: NDArray[np.bool_]


def draw_sheet(entries: Sequence[SheetEntry], heading: str) -> Figure:
    """Draw pairs, at least one: left, the old detection is outlined, and right what is detected now."""
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(max(7.0, 3.3 * columns), 1.95 * rows + 0.75), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, entry in zip(grid.flat, entries, strict=False):
        _draw_pair(axes, entry)
    figure.suptitle(
        f"{heading}\nleft: what the deployed model raised   ·   right: what the tested model says of the same place",
        fontsize=11,
    )
    return figure


def _draw_pair(axes: Axes, entry: SheetEntry) -> None:
    side = entry.crop.shape[0]
    offset = side * (1 + _GAP)
    for start, region, colour in ((0.0, entry.region[0], _RED), (offset, entry.region[1], _GREEN)):
        extent = (start, start + side, side, 0.0)
        axes.imshow(entry.crop, extent=extent, interpolation="nearest")
        _outline(axes, region, start, colour, "solid")
    _outline(axes, entry.region[0] & ~entry.region[1], offset, _GREY, "dotted")
    axes.set_xlim(0, offset + side)
    axes.set_ylim(side, 0)
    for start, title, colour in zip((0.0, offset), entry.titles, (_RED, _GREEN), strict=True):
        axes.text(start, -side * 0.03, title, fontsize=8, color=colour, ha="left", va="bottom")
    axes.text(offset + side, side * 1.02, entry.note, fontsize=6.5, color=_GREY, ha="right", va="top")


def _outline(axes: Axes, region: NDArray[np.bool_], start: float, colour: str, style: str) -> None:
    """Contour of a region; a rim of one pixel closes it where it leaves the crop."""
    if not region.any():
        return
    rim = np.pad(region.astype(float), 1)
    places = np.arange(-1, region.shape[0] + 1) + 0.5
    axes.contour(places + start, places, rim, levels=[0.5], colors=colour, linestyles=style, linewidths=1.6)
