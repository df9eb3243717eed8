"""Table, figure and sheets at the end of `appraise evaluate-faces`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from callbacks.figures.plain import markdown_table, shown
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.commands.faces.measures import NEAREST, VARIATION, Values

Rows = Mapping[str, Mapping[str, Values]]  # mode -> kind of request -> measures

# Of each kind: heading, key, digits.
_SHARED = (
    ("own opinion", "own_opinion", 3),
    ("variation", "variation_ratio", 2),
    ("nearest", "nearest_ratio", 2),
    ("copies", "copies", 2),
    ("slope", "spectrum_slope", 2),
    ("diversity", "diversity_ratio", 2),
)
_JUDGED = (
    ("agreement", "agreement", 3),
    ("recall", "recall", 3),
    ("specificity", "specificity", 3),
    ("KID", "kid", 3),
    ("nearest in features", "nearest_ratio", 2),
    ("similarity %", "similarity_percentile", 0),
)
_COLOURS = {"full": "#2166ac", "short": "#e08214"}
_TITLES = {"full": "full label sets", "short": "short requests"}
_GREY, _RED = "#8a8a8a", "#b2182b"


class KindTable(NamedTuple):
    """All modes on one kind of request.

    Attributes:
        title: Of the kind.
        columns: Heading, judge (None for all), key and digits of each measure that some mode has.
        modes: Names of the rows.
        values: Of each row and column; NaN where there is none.
    """

    title: str
    columns: list[tuple[str, str | None, str, int]]
    modes: list[str]
    values: list[list[float]]


def kind_tables(rows: Rows) -> list[KindTable]:
    """One table a kind of request, a row a mode."""
    shown = {
        title: {mode: kinds[kind] for mode, kinds in rows.items() if kind in kinds} for kind, title in _TITLES.items()
    }
    return [_kind_table(title[0].upper() + title[1:], of_kind) for title, of_kind in shown.items() if of_kind]


def markdown(rows: Rows, chosen: str) -> str:
    """One table a kind of request in Markdown; the chosen mode in bold."""
    parts = []
    for table in kind_tables(rows):
        digits = [column[-1] for column in table.columns]
        lines = [
            [f"**{mode}**" if mode == chosen else mode, *map(shown, values, digits)]
            for mode, values in zip(table.modes, table.values, strict=True)
        ]
        parts.append(f"### {table.title}\n\n{markdown_table(['mode', *(c[0] for c in table.columns)], lines)}")
    return "\n".join(parts)


def _kind_table(title: str, shown: Mapping[str, Values]) -> KindTable:
    judges = list(dict.fromkeys(judge for values in shown.values() for judge in values["judges"]))
    columns: list[tuple[str, str | None, str, int]] = [("agreement", None, "agreement", 3)]
    columns += [(f"{judge}: {head}", judge, key, digits) for judge in judges for head, key, digits in _JUDGED]
    columns += [(head, None, key, digits) for head, key, digits in _SHARED]
    columns += [("seconds a face", None, "seconds_a_face", 2)]
    used = [
        column for column in columns if any(not math.isnan(_value(values, *column[1:3])) for values in shown.values())
    ]
    found = [[_value(values, judge, key) for _, judge, key, _ in used] for values in shown.values()]
    return KindTable(title, used, list(shown), found)


def measures_csv(rows: Rows) -> str:
    """All measures, a line a mode and kind of request; those of a judge begin with its name."""
    flat = [
        {"mode": mode, "requests": kind, **_flat(values)}
        for mode, kinds in rows.items()
        for kind, values in kinds.items()
    ]
    names = list(dict.fromkeys(name for line in flat for name in line))
    return csv_text(names, (short_numbers(line.get(name, "") for name in names) for line in flat))


def comparison(rows: Rows, chosen: str) -> dict[str, dict[str, float]]:
    """By how much the chosen mode agrees more than each other one, by kind of request and mode."""
    own = rows[chosen]
    return {
        kind: {
            mode: own[kind]["agreement"] - kinds[kind]["agreement"]
            for mode, kinds in rows.items()
            if mode != chosen and kind in kinds
        }
        for kind in own
    }


def draw_evaluation(rows: Rows, chosen: str) -> Figure:
    """Agreement, total variation and distance to real faces, a line a mode; an arrow marks the one that counts."""
    modes = list(rows)
    figure = Figure(figsize=(12.5, 1.6 + 0.36 * len(modes)), layout="constrained")
    agreement, variation, near, kernel = figure.subplots(1, 4, sharey=True, width_ratios=(3, 1.6, 1.6, 1.6))
    for offset, kind in ((-0.17, "full"), (0.17, "short")):
        shown = [(place, rows[mode][kind]) for place, mode in enumerate(modes) if kind in rows[mode]]
        places = np.array([place for place, _ in shown], dtype=float) + offset
        means = [values["agreement"] for _, values in shown]
        agreement.barh(places, means, height=0.32, color=_COLOURS[kind], alpha=0.85, label=_TITLES[kind])
        for place, (_, values) in zip(places, shown, strict=True):
            judged = [judge["agreement"] for judge in values["judges"].values()]
            agreement.plot(judged, [place] * len(judged), "o", color="black", markersize=2.5)
        _dots(variation, places, [values.get("variation_ratio", math.nan) for _, values in shown], kind)
        _dots(near, places, [values.get("nearest_ratio", math.nan) for _, values in shown], kind)
        _dots(kernel, places, [_judge_mean(values, "kid") for _, values in shown], kind)
    agreement.set_yticks(range(len(modes)), [f"→ {mode}" if mode == chosen else mode for mode in modes], fontsize=8)
    agreement.set_ylim(len(modes) - 0.5, -0.5)
    agreement.set_xlim(0.3, 1.0)
    agreement.axvline(0.5, color=_GREY, linewidth=0.8)
    for axes, title in (
        (agreement, "agreement with the request (dots: each judge; 0.5 is chance)"),
        (variation, "total variation over real"),
        (near, "distance to nearest real face\nover real to real"),
        (kernel, "KID in judges' features"),
    ):
        axes.set_title(title, fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    variation.axvspan(*VARIATION, color="#d9f0d3", alpha=0.6, zorder=0)
    variation.set_xscale("log")
    variation.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10]))
    variation.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    variation.xaxis.set_minor_locator(NullLocator())
    near.axvspan(0, NEAREST, color="#d9f0d3", alpha=0.6, zorder=0)
    near.set_xlim(left=0)
    kernel.set_xscale("symlog", linthresh=0.1)
    low, high = kernel.dataLim.intervalx
    kernel.set_xlim(min(low, -0.03) * 1.3, max(high, 0.1) * 1.4)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _dots(axes: Axes, places: np.ndarray[tuple[int], np.dtype[np.float64]], values: Sequence[float], kind: str) -> None:
    axes.plot(values, places, "o", color=_COLOURS[kind], markersize=4)


def _judge_mean(values: Values, key: str) -> float:
    found = [judge[key] for judge in values["judges"].values() if key in judge]
    return math.fsum(found) / len(found) if found else math.nan


def _value(values: Values, judge: str | None, key: str) -> float:
    held: Mapping[str, Any] = values if judge is None else values["judges"].get(judge, {})
    return float(held.get(key, math.nan))


def _flat(values: Values) -> dict[str, Any]:
    own = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    nested = {name: value for name, value in values.items() if isinstance(value, Mapping) and name != "judges"}
    for name, value in nested.items():
        own |= {f"{name}/{key}": entry for key, entry in value.items()}
    for judge, value in values["judges"].items():
        own |= {f"{judge}/{key}": entry for key, entry in value.items()}
    return own
