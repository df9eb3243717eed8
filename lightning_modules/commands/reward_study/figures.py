"""The figure at the end of `appraise reward-study`: what each measure costs another, or how it grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from callbacks.figures.pictures import write_figure
from lightning_modules.commands.reward_study.settings import StudySettings
from lightning_modules.commands.reward_study.table import name_of
from lightning_modules.commands.rows.estimates import RowValues, estimate

_MARKERS = "osD^vP*X"
_SINGLE = "#555555"
_LETTERS, _HANDLE = 14, 7  # letters of a legend to an inch, and those that a handle takes
_WIDE = 4.0  # largest over smallest value, from which on an axis is logarithmic


def draw(settings: StudySettings, rows: RowValues, picture: Path) -> Path:
    """Draw one panel for each measure, with the mean over seeds and its 95 % interval."""
    figure = Figure(figsize=(6.2 * len(settings.figure.y), 5.2), layout="constrained")
    axes = figure.subplots(1, len(settings.figure.y), squeeze=False)[0]
    for place, measure in zip(axes, settings.figure.y, strict=True):
        _panel(place, settings, rows, measure)
    handles, labels = axes[0].get_legend_handles_labels()
    columns = int(figure.get_figwidth() * _LETTERS / (max(map(len, labels), default=0) + _HANDLE))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, columns), frameon=False, fontsize=9)
    write_figure(figure, picture)
    return picture


def _panel(axes: Axes, settings: StudySettings, rows: RowValues, measure: str) -> None:
    wanted = settings.figure
    if wanted.wanted is not None:
        axes.axvspan(wanted.wanted[0], wanted.wanted[-1], color="#d9f0d3", alpha=0.6, zorder=0)

    def place_of(name: str) -> tuple[float, float, float, float, str] | None:
        return _point(settings, rows, name, measure)

    lines: dict[str, list[str]] = {}
    for name in settings.measured:
        lines.setdefault(settings.rows[name].line or settings.rows[name].title, []).append(name)
    for number, (line, names) in enumerate(lines.items()):
        points = [point for name in names if (point := place_of(name)) is not None]
        if not points:
            continue
        across, across_half, up, up_half, labels = zip(*points, strict=True)
        alone = len(names) == 1
        axes.errorbar(
            across, up, yerr=_halves(up_half), xerr=_halves(across_half),
            marker=_MARKERS[number % len(_MARKERS)], markersize=6, linewidth=0 if alone else 1.2, elinewidth=0.8,
            capsize=2, label=line, color=_SINGLE if alone and wanted.x is None else None,
        )  # fmt: skip
        if wanted.x is not None and not alone:
            for x, y, label in zip(across, up, labels, strict=True):
                axes.annotate(label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=7)
    axes.set_xlabel(name_of(wanted.x) if wanted.x is not None else wanted.place)
    axes.set_ylabel(name_of(measure))
    _spread(axes, [point[2] for names in lines.values() for name in names if (point := place_of(name)) is not None])
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    places = sorted({row.place for row in settings.rows.values() if row.place})
    if wanted.x is None and places and max(places) / min(places) > 10:
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:,g}" for place in places])
        axes.minorticks_off()


def _spread(axes: Axes, heights: Sequence[float]) -> None:
    """A logarithmic axis where one row far off would press all others together."""
    if heights and min(heights) > 0 and max(heights) > _WIDE * min(heights):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(ScalarFormatter())
        axes.tick_params(axis="y", which="minor", labelsize=7)


def _point(
    settings: StudySettings, rows: RowValues, name: str, measure: str
) -> tuple[float, float, float, float, str] | None:
    """Place, half-width of its interval, height, half-width, and label of a row; None where it has no value."""
    row, seeds = settings.rows[name], rows[settings.rows[name].title]
    up = estimate([values.get(measure, math.nan) for values in seeds])
    if settings.figure.x is not None:
        across = estimate([values.get(settings.figure.x, math.nan) for values in seeds])
        place, half = across.mean, across.half_width
    else:
        place, half = (math.nan if row.place is None else row.place), math.nan
    if math.isnan(up.mean) or math.isnan(place):
        return None
    return place, half, up.mean, up.half_width, "" if row.place is None else f"{row.place:g}"


def _halves(values: tuple[float, ...]) -> list[float]:
    return [0.0 if math.isnan(value) else value for value in values]
