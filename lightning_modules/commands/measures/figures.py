"""Figures of a measurement: how alike pictures are, shares and copies side by side, nearest pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from callbacks.figures.palette import distinct_colours
from callbacks.figures.pictures import title_of
from callbacks.figures.sheet import Picture, SheetFace, as_picture, draw_sheet
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.nn.estimate import Estimate

_GREY, _DARK = "#9a9a9a", "#4d4d4d"
_BINS = 60
_PAIRS_A_ROW = 5
_THUMBNAIL = 132  # pixels of a side
_NAME = 28  # letters of a name


def draw_similarity(found: Found, embedder: str) -> Figure:
    """How alike each picture is to its most similar training picture, and the threshold of copies."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    values = {one.name: one.pairs[embedder].similarity.numpy() for one in found.every}
    low = min(float(part.min()) for part in values.values())
    high = max(float(part.max()) for part in values.values())
    bins = np.linspace(low, max(high, low + 1e-3), _BINS + 1)
    background = [one for one in (found.held_out, found.training) if one is not None]
    for one, style in zip(background, ("--", ":"), strict=False):
        weights = np.full(len(values[one.name]), 1 / len(values[one.name]))
        axes.hist(
            values[one.name], bins=list(bins), weights=weights, histtype="step", color=_DARK, linestyle=style,
            label=f"{one.name} (n = {len(weights):,})",
        )  # fmt: skip
    for one, colour in zip(found.generated, distinct_colours(len(found.generated)), strict=True):
        weights = np.full(len(values[one.name]), 1 / len(values[one.name]))
        axes.hist(
            values[one.name], bins=list(bins), weights=weights, histtype="stepfilled", alpha=0.35, color=colour,
            label=f"{title_of(one.name, _NAME)} (n = {len(weights):,})",
        )  # fmt: skip
    threshold = found.training.number("threshold", by=embedder)
    assert threshold is not None  # every embedder has one
    axes.axvline(threshold.value, color="#b2182b", linewidth=1.2, label=f"threshold {threshold.value:.3f}")
    axes.set_xlabel("similarity to the most similar (other) training picture", fontsize=9)
    axes.set_ylabel("share of pictures", fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _dress(axes)
    return figure


def draw_bars(found: Found) -> Figure:
    """Shares of the classes and of copies of all sets side by side, with their intervals."""
    names = [name for name in found.classes if any(one.number("share", name) for one in found.generated)]
    embedders = found.training.by("copies")
    panels = [part for part in (names, embedders) if part]
    widths = [len(part) for part in panels]
    figure = Figure(figsize=(min(13.0, 3.5 + 0.9 * sum(widths) * max(1, len(found.generated) / 2)), 3.2))
    figure.set_layout_engine("constrained")
    drawn = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
    for axes, part in zip(drawn, panels, strict=True):
        if part is names:
            _draw_shares(axes, found, names)
        else:
            _bars(axes, found.generated, [[one.number("copies", by=name) for name in part] for one in found.generated])
            axes.axhline(0, color=_GREY, linewidth=0.8)
            axes.set_xticks(range(len(part)), [_broken(name) for name in part], fontsize=8)
            axes.set_ylabel("share of copies, less that of strangers", fontsize=9)
        _dress(axes)
    figure.legend(*drawn[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure


def draw_pairs(found: Found, measured: Measured, embedder: str, number: int) -> Image.Image:
    """Made pictures beside the training pictures that they are most like, the most similar first."""
    pairs = measured.pairs[embedder]
    faces = []
    for place in pairs.similarity.argsort(descending=True, stable=True)[:number].tolist():
        made, real = pairs.rows[place], pairs.nearest[place]
        shown = (measured.pictures.read(made), found.sets.training.read(real))
        verdict = "above the threshold" if pairs.copied[place] else "below it"
        faces.append(
            SheetFace(
                tuple(_small(as_picture(clip[len(clip) // 2])) for clip in shown),
                f"{title_of(measured.pictures.file(made), _NAME)} | {title_of(found.sets.training.file(real), _NAME)}",
                f"{pairs.similarity[place]:.3f}, {verdict}",
            )
        )
    return draw_sheet(faces, _PAIRS_A_ROW)


def _small(picture: Picture) -> Picture:
    """A picture of at most so many pixels as a place of the sheet has."""
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return np.asarray(image)


def _draw_shares(axes: Axes, found: Found, names: Sequence[str]) -> None:
    sets = found.generated
    _bars(axes, sets, [[one.number("share", name) for name in names] for one in sets])
    for place, name in enumerate(names):
        wanted = found.target[list(found.classes).index(name)]
        label = "wanted" if place == 0 else None
        axes.plot([place - 0.42, place + 0.42], [wanted] * 2, color="black", linewidth=1.2, label=label)
        training = found.training.number("share", name)
        if training is not None:
            label = "training" if place == 0 else None
            line = [training.value] * 2
            axes.plot([place - 0.42, place + 0.42], line, color=_DARK, linestyle=":", linewidth=1.6, label=label)
    axes.set_xticks(range(len(names)), [_broken(name) for name in names], fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share of pictures", fontsize=9)


def _bars(axes: Axes, sets: Sequence[Measured], values: Sequence[Sequence[Estimate | None]]) -> None:
    """A group of bars for each column, a colour a set."""
    width = min(0.4, 0.8 / len(sets))
    for number, (one, colour, row) in enumerate(zip(sets, distinct_colours(len(sets)), values, strict=True)):
        known = [(place, estimate) for place, estimate in enumerate(row) if estimate is not None]
        places = [place + (number - (len(sets) - 1) / 2) * width for place, _ in known]
        heights = [estimate.value for _, estimate in known]
        ends = [[e.value - e.low for _, e in known], [e.high - e.value for _, e in known]]
        axes.bar(places, heights, width * 0.9, color=colour, alpha=0.8, label=title_of(one.name, _NAME))
        axes.errorbar(places, heights, yerr=ends, fmt="none", ecolor="black", elinewidth=0.9, capsize=2.5)


def _broken(name: str) -> str:
    """A name in lines of a few words."""
    words, lines = title_of(name, 60).split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 14:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _dress(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shown_number(estimate: Estimate | None) -> str:
    """A number and its interval in words; a dash where there is none.

    Example:
        >>> shown_number(Estimate(0.5, 0.4, 0.6, 100)), shown_number(None), shown_number(Estimate(750.67, 1, 760, 9))
        ('0.500 (0.400 to 0.600)', '-', '751 (1 to 760)')
    """
    if estimate is None or math.isnan(estimate.value):
        return "-"
    size = max(abs(one) for one in estimate[:3] if not math.isnan(one))
    digits = 3 if size < 10 else 1 if size < 100 else 0
    value = "infinite" if math.isinf(estimate.value) else f"{estimate.value:.{digits}f}"
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return value
    return f"{value} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"
