"""Accuracy of each category as bars, beside chance and what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from callbacks.figures.pictures import write_figure
from datamodules.face_benchmark.batch import CATEGORIES
from lightning_modules.face_benchmark.results.published import published
from lightning_modules.face_benchmark.results.scores import Score

_OWN, _OTHER = "#2166ac", "#bdbdbd"


def draw_categories(
    title: str,
    scores: Sequence[Score],
    frequent: Mapping[tuple[str, str], float],
    with_published: bool,
    picture: Path,
) -> None:
    """Draw bars with 95 % intervals, a line at chance, and where it is the same benchmark the best published model.

    Args:
        title: Name of the model.
        scores: Of all parts.
        frequent: Share that the most frequent letters get right, by part.
        with_published: Whether published results are of the same questions.
        picture: The file.
    """
    shown = [score for score in scores if score.kind in ("overall", "category")]
    names = ["Overall" if one.kind == "overall" else CATEGORIES.get(one.name, one.name) for one in shown]
    figure = Figure(figsize=(1.6 + 1.35 * len(shown), 4.2), layout="constrained")
    axes = figure.subplots()
    places = range(len(shown))
    wide = 0.36 if with_published else 0.6
    left = [place - wide / 2 for place in places] if with_published else list(places)
    values = [100 * one.strict.value for one in shown]
    errors = [[v - 100 * one.strict.low for v, one in zip(values, shown, strict=True)],
              [100 * one.strict.high - v for v, one in zip(values, shown, strict=True)]]  # fmt: skip
    axes.bar(left, values, wide, yerr=errors, capsize=3, color=_OWN, label=title, error_kw={"elinewidth": 1})
    if with_published:
        best = max(published(), key=lambda row: row.overall)
        theirs = [best.overall if one.kind == "overall" else best.categories.get(one.name, 0.0) for one in shown]
        axes.bar([place + wide / 2 for place in places], theirs, wide, color=_OTHER, label=f"{best.model}, published")
    for number, one in enumerate(shown):
        label = ("chance", "most frequent letter") if number == 0 else ("", "")
        axes.hlines(100 * one.chance, number - 0.4, number + 0.4, colors="#222222", linestyles="dashed", label=label[0])
        height = 100 * frequent[one.kind, one.name]
        axes.hlines(height, number - 0.4, number + 0.4, colors="#d6604d", linestyles="dotted", label=label[1])
    axes.set_xticks(list(places), [name.replace(" ", "\n", 1) for name in names], fontsize=9)
    axes.set_ylabel("right answers in percent")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    write_figure(figure, picture)
