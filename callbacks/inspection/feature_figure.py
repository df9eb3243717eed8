"""The picture of features at defective areas: colour is the class, shape is the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from callbacks.figures.palette import distinct_colours
from datamodules.inspection.batch import NEW, ORIGINAL

# Filled circle and open triangle stay apart where they lie on each other.
_MARKERS = {ORIGINAL: "o", NEW: "^"}
_GREY = "#444444"
_COLUMN = 20  # names in a column of the legend


def draw_features(
    places: NDArray[Any],
    class_index: NDArray[Any],
    domain: NDArray[Any],
    class_names: Sequence[str],
    accuracy: float | None = None,
) -> Figure:
    """Scatter the areas; ``accuracy`` of the domain classifier stands in the title.

    Places are ``(N, 2)``, classes ``(N,)``, domains ``(N,)`` 0 (original) or 1 (new); the legend leaves out
    classes without an area.
    """
    present = sorted({int(index) for index in class_index})
    figure = Figure(figsize=(6.2 + 2.0 * max(1, -(-len(present) // _COLUMN)), 6.0), layout="constrained")
    axes = figure.add_subplot()
    scatter_areas(axes, places, class_index, domain, class_colours(len(class_names)))
    legends(axes, present, class_names)
    said = "" if accuracy is None else f"   ·   domain classifier {accuracy:.2f} (0.50 is chance)"
    figure.suptitle(f"features at {len(places)} defective areas, t-SNE{said}", fontsize=11)
    return figure


def scatter_areas(
    axes: Axes, places: NDArray[Any], class_index: NDArray[Any], domain: NDArray[Any], colours: Sequence[str]
) -> None:
    """Scatter areas into one panel without scales, by places ``(N, 2)``, classes and domains ``(N,)``."""
    for number, marker in _MARKERS.items():
        rows = domain == number
        x, y = places[rows].T
        picked = [colours[int(index)] for index in class_index[rows]]
        if number == ORIGINAL:
            axes.scatter(x, y, s=26, marker=marker, c=picked, alpha=0.6, linewidths=0)
        else:
            axes.scatter(x, y, s=34, marker=marker, facecolors="none", edgecolors=picked, linewidths=1.3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")


def legends(axes: Axes, present: Sequence[int], class_names: Sequence[str]) -> None:
    """Put the legends of domains, and of the classes that have an area, to the right of a panel."""
    colours = class_colours(len(class_names))
    classes = [
        Line2D([], [], marker="s", linestyle="", color=colours[index], label=class_names[index]) for index in present
    ]
    domains = [
        Line2D([], [], marker="o", linestyle="", color=_GREY, label="original"),
        Line2D([], [], marker="^", linestyle="", color=_GREY, fillstyle="none", markeredgewidth=1.3, label="new"),
    ]
    upper = axes.legend(
        handles=domains, title="domain", frameon=False, loc="upper left", alignment="left", bbox_to_anchor=(1.0, 1.0)
    )
    axes.add_artist(upper)
    axes.legend(
        handles=classes,
        title="defect",
        frameon=False,
        loc="upper left",
        alignment="left",
        bbox_to_anchor=(1.0, 0.84),
        ncols=max(1, -(-len(classes) // _COLUMN)),
    )


def class_colours(number: int) -> list[str]:
    """Distinct colours as #rrggbb, strong ones first."""
    strong_first = [*range(0, 20, 2), *range(1, 20, 2)]
    return list(distinct_colours(number, tuple(to_hex(colormaps["tab20"](index)) for index in strong_first)))
