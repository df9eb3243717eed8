"""Pictures of attributes as horizontal bars in columns, so that 73 names stay readable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightning_modules.face_attributes.classifier.metrics import WELL_KNOWN, AttributeScores, known_mean

_COLUMNS = 3
_BLUE, _GREY, _RED, _LIGHT = "#2166ac", "#8a8a8a", "#b2182b", "#d9d9d9"
_ROW = 0.17  # inches
_WIDE = 10.0  # inches that a title of one line takes
_LOW = 0.3  # least value of the axis of measures, unless there are lower ones


def draw_attributes(rows: Sequence[AttributeScores]) -> Figure:
    """Balanced accuracy as a bar, accuracy as a dot, and the accuracy of the majority's answer as a tick."""
    shown = [value for row in rows for value in (row.balanced_accuracy, row.accuracy, row.majority)]
    low = _LOW if all(math.isnan(value) or value > _LOW for value in shown) else -0.01
    figure, panels = _columns(len(rows), width=4.2)
    size = -(-len(rows) // len(panels))
    for number, axes in enumerate(panels):
        part = rows[number * size : (number + 1) * size]
        places = np.arange(len(part))
        axes.barh(places, [_zero(row.balanced_accuracy) for row in part], height=0.72, color=_BLUE, alpha=0.75)
        axes.plot([row.accuracy for row in part], places, "o", markersize=3.2, color="black")
        axes.plot([row.majority for row in part], places, "|", markersize=8, markeredgewidth=1.6, color=_RED)
        axes.axvline(0.5, color=_GREY, linewidth=0.8)
        axes.axvline(WELL_KNOWN, color=_GREY, linewidth=0.8, linestyle=(0, (2, 2)))
        names = [row.name if not math.isnan(row.balanced_accuracy) else f"({row.name})" for row in part]
        dress(axes, places, names, size)
        axes.set_xlim(low, 1.01)
    mean = known_mean([row.balanced_accuracy for row in rows])
    give_title(
        figure,
        f"bar: balanced accuracy (mean {mean:.3f}, 0.5 is a guess)",
        "dot: accuracy",
        "red tick: accuracy of always giving the more frequent answer",
    )
    return figure


def draw_shares(
    names: Sequence[str], shares: Sequence[Sequence[float]], missing: Sequence[float], title: Sequence[str]
) -> Figure:
    """Share of the labelled faces that show each attribute, as given, one sequence a split: a bar, then ticks.

    ``missing`` is the share of the faces of the first split without a label.
    """
    figure, panels = _columns(len(names), width=4.2)
    size = -(-len(names) // len(panels))
    for number, axes in enumerate(panels):
        part = slice(number * size, (number + 1) * size)
        places = np.arange(len(names[part]))
        lacking = np.array([_zero(value) for value in missing[part]])
        axes.barh(places, lacking, left=1 - lacking, height=0.72, color=_LIGHT)
        axes.barh(places, [_zero(value) for value in shares[0][part]], height=0.5, color=_BLUE, alpha=0.8)
        for other, colour in zip(shares[1:], ("black", _RED), strict=False):
            axes.plot(list(other[part]), places, "|", markersize=7, markeredgewidth=1.3, color=colour)
        dress(axes, places, list(names[part]), size)
        axes.set_xlim(0, 1)
    give_title(figure, *title)
    return figure


def give_title(figure: Figure, *parts: str) -> None:
    """Write a title of several parts in one line, or in a line each where the figure is narrow."""
    figure.suptitle(("   ·   " if figure.get_figwidth() > _WIDE else "\n").join(parts), fontsize=9)


def _columns(number: int, width: float) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, max(1, -(-number // 12)))
    rows = -(-number // columns)
    figure = Figure(figsize=(max(7.5, width * columns), 1.0 + _ROW * max(rows, 4)), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def dress(axes: Axes, places: np.ndarray[tuple[int], np.dtype[np.int64]], names: Sequence[str], size: int) -> None:
    """Name horizontal bars and leave out what is not needed; all columns have room for ``size`` of them."""
    axes.set_yticks(places, names, fontsize=7)
    axes.set_ylim(size - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
