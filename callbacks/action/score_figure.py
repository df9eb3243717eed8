"""Scores over time as a picture, from a track whose size does not grow with the length of the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from callbacks.figures.fonts import figure_families
from callbacks.figures.palette import Look, distinct_looks

Floats = NDArray[np.float64]

_ALL = 40  # classes up to which each has its line
_FEW = 12  # lines of more classes, unless more of them have a segment
_COLUMN = 15  # names in a column of the legend
_LETTER = 0.0075  # width of a letter in a bar as a share of the axis, at most
_GREY = "#9a9a9a"
_FINEST = 1 / 64  # seconds of a bin at the beginning


class DrawnSegment(NamedTuple):
    """A stretch of time with a label: start and end in seconds."""

    label: str
    start: float
    end: float


class ScoreTrack:
    """Smallest and largest score of each class in bins of time; bins double when there would be too many.

    Args:
        classes: Number of classes.
        limit: Most bins; each gives two points, so 2,000 bins are at most 4,000 points a class.

    Example:
        >>> track = ScoreTrack(1, limit=4)
        >>> track.add(np.arange(100.0), np.linspace(0, 1, 100)[:, None])
        >>> len(track.points()[0]) <= 4
        True
    """

    def __init__(self, classes: int, limit: int = 2000) -> None:
        self._limit = limit
        self._width = _FINEST
        self._origin: float | None = None
        self._low = np.full((limit, classes), np.inf, np.float32)
        self._high = np.full((limit, classes), -np.inf, np.float32)

    def add(self, times: Floats, scores: Floats) -> None:
        """Take rising seconds ``(T,)``, after all earlier ones, and scores ``(T, C)``; rows with NaN are left out."""
        known = np.isfinite(scores).all(axis=1) & np.isfinite(times)
        times, scores = times[known], scores[known].astype(np.float32)
        if not len(times):
            return
        if self._origin is None:
            self._origin = float(times[0])
        while int((times[-1] - self._origin) / self._width) >= self._limit:
            self._double()
        bins = ((times - self._origin) / self._width).astype(np.int64).clip(0)
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        rows = bins[starts]
        self._low[rows] = np.minimum(self._low[rows], np.minimum.reduceat(scores, starts, axis=0))
        self._high[rows] = np.maximum(self._high[rows], np.maximum.reduceat(scores, starts, axis=0))

    def points(self) -> tuple[Floats, NDArray[np.float32], NDArray[np.float32]]:
        """Centres of the bins that hold scores in seconds ``(N,)``, lowest and highest scores ``(N, C)``."""
        filled = np.flatnonzero(np.isfinite(self._low).all(axis=1))
        times: Floats = (self._origin or 0.0) + (filled.astype(np.float64) + 0.5) * self._width
        return times, self._low[filled], self._high[filled]

    def _double(self) -> None:
        for values, join, empty in ((self._low, np.minimum, np.inf), (self._high, np.maximum, -np.inf)):
            odd = np.full_like(values[0::2], empty)
            odd[: len(values[1::2])] = values[1::2]
            joined = join(values[0::2], odd)
            values[: len(joined)] = joined
            values[len(joined) :] = empty
        self._width *= 2


def draw_scores(
    track: ScoreTrack,
    class_names: Sequence[str],
    segments: Sequence[DrawnSegment],
    *,
    title: str,
    truth: Sequence[DrawnSegment] | None = None,
    enter: float | None = None,
    action: str | None = None,
) -> Figure:
    """Draw the mean scores of the classes, of more than 40 those that matter, and below them the segments.

    True segments have a row of their own; ``enter``, the score above which a segment begins, is a dotted line; of an
    ``action`` nothing but it is drawn.
    """
    times, low, high = track.points()
    shown = _shown_classes(high, class_names, [*segments, *(truth or ())], action)
    looks = dict(zip([class_names[index] for index in shown], distinct_looks(len(shown)), strict=True))
    families = figure_families([title, *looks, *(segment.label for segment in [*segments, *(truth or ())])])
    rows = 1 if truth is None else 2
    columns = -(-len(shown) // _COLUMN)  # of the legend
    figure = Figure(figsize=(8.6 + 1.4 * columns, 4.0 + 0.35 * rows), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(8, 0.9 * rows))
    for index in shown:
        name = class_names[index]
        colour, dashes = looks[name]
        above.fill_between(times, low[:, index], high[:, index], color=colour, alpha=0.25, linewidth=0)
        middle = (low[:, index] + high[:, index]) / 2
        above.plot(times, middle, color=colour, linestyle=dashes, linewidth=1.4, label=name)
    if enter is not None:
        above.axhline(enter, color="#555555", linewidth=0.9, linestyle=":")
    if not len(times):
        above.text(0.5, 0.5, "no scored frame", transform=above.transAxes, ha="center", va="center", color=_GREY)
    _finish_scores(above, title, families, columns=columns)
    end = max([float(times[-1]) if len(times) else 1.0, *(segment.end for segment in (*segments, *(truth or ())))])
    start = min(0.0, float(times[0])) if len(times) else 0.0
    below.set_xlim(start, max(end, start + 1e-3))
    _draw_segments(below, segments, truth, looks, families)
    if end - start > 180:
        below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    below.set_xlabel("time" if end - start > 180 else "time in seconds")
    return figure


def clock(seconds: float) -> str:
    """Seconds as minutes, or hours, and seconds.

    Example:
        >>> clock(75), clock(3725)
        ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _shown_classes(
    high: NDArray[np.float32], names: Sequence[str], segments: Sequence[DrawnSegment], action: str | None
) -> list[int]:
    """Columns to draw, in the order of the classes: all, or of many those of segments and the highest scores."""
    if action is not None:
        return [list(names).index(action)]
    if len(names) <= _ALL:
        return list(range(len(names)))
    labels = {segment.label for segment in segments}
    peaks = high.max(axis=0) if len(high) else np.zeros(len(names))
    order = sorted(range(len(names)), key=lambda index: (names[index] not in labels, -float(peaks[index])))
    return sorted(order[: max(_FEW, len(labels.intersection(names)))])


def _finish_scores(axes: Axes, title: str, families: list[str], *, columns: int) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("mean score")
    axes.set_title(title, fontsize=11, family=families)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.03),
        prop={"family": families, "size": 9},
        ncols=columns,
        handlelength=3.4,  # room for a dash and its dots
        labelspacing=0.35,
        columnspacing=1.2,
    )


def _draw_segments(
    axes: Axes,
    segments: Sequence[DrawnSegment],
    truth: Sequence[DrawnSegment] | None,
    looks: dict[str, Look],
    families: list[str],
) -> None:
    rows = [("found", segments)] if truth is None else [("true", truth), ("found", segments)]
    start, end = axes.get_xlim()
    for row, (_, stretches) in enumerate(rows):
        for segment in stretches:
            colour = looks[segment.label].colour if segment.label in looks else _GREY
            length = segment.end - segment.start
            axes.barh(row, length, left=segment.start, height=0.72, color=colour, edgecolor="white", linewidth=0.6)
            if length > _LETTER * (len(segment.label) + 1) * (end - start):
                middle = (segment.start + segment.end) / 2
                ink = "white" if np.dot(to_rgb(colour), (0.3, 0.59, 0.11)) < 0.6 else "black"
                axes.text(middle, row, segment.label, ha="center", va="center", fontsize=7, family=families, color=ink)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
