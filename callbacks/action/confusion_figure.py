"""The picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from callbacks.figures.fonts import figure_families

_NUMBERED = 25  # classes up to which each cell has its number
_NAMED = 60  # and up to which each class has its name
_LONGEST = 24  # letters of a name


def draw_confusion(confusion: NDArray[np.int64], class_names: Sequence[str], unit: str) -> Figure:
    """Draw a confusion matrix: colour is the share of the true class, the number is the count of ``unit``.

    It is int64 ``(C, C)``; row is the true class, column the answer.
    """
    number = len(class_names)
    support = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, support, out=np.zeros(confusion.shape), where=support > 0)
    side = min(12.0, 2.2 + 0.55 * number) if number <= _NUMBERED else min(12.0, 4.0 + 0.14 * number)
    figure = Figure(figsize=(side + 1.6, side + 0.6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    _name_classes(axes, class_names)
    if number <= _NUMBERED:
        _write_counts(axes, confusion, share)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    total, right = int(confusion.sum()), int(np.trace(confusion))
    axes.set_title(f"{right} of {total} {unit} right ({right / max(1, total):.1%})", fontsize=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02, ticks=[0.0, 0.5, 1.0], format="{x:.0%}")
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.tick_params(labelsize=8, length=0)
    bar.outline.set_visible(False)
    return figure


def _name_classes(axes: Axes, class_names: Sequence[str]) -> None:
    number = len(class_names)
    if number > _NAMED:
        return
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in class_names]
    size = 9 if number <= _NUMBERED else 6
    slanted = max(map(len, short)) * number > 40  # they would run into each other
    axes.set_yticks(range(number), short, fontsize=size)
    axes.set_xticks(range(number), short, fontsize=size)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    families = figure_families(short)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily(families)
    axes.set_xticks(np.arange(0.5, number - 1), minor=True)
    axes.set_yticks(np.arange(0.5, number - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)


def _write_counts(axes: Axes, confusion: NDArray[np.int64], share: NDArray[Any]) -> None:
    size = 9 if len(confusion) <= 12 else 6
    for row, column in np.argwhere(confusion > 0):
        axes.text(
            column,
            row,
            f"{confusion[row, column]}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if share[row, column] > 0.55 else "#222222",
        )
