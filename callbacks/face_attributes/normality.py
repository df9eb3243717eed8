"""Whether activations are normal, as the Gaussian of each attribute takes them to be: a table and a picture."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from callbacks.face_attributes.bars import dress
from callbacks.face_attributes.measures import schema_of
from callbacks.figures.pictures import save_figure
from callbacks.figures.plain import without_nan
from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.normality import (
    LEAST_FACES,
    AttributeNormality,
    LayerNormality,
    UnitSample,
    layer_normality,
)

log = logging.getLogger(__name__)

_BLUE, _RED, _GREY = "#2166ac", "#b2182b", "#8a8a8a"
_COLUMNS = 3


class NormalityFigure(Callback):
    """Test the activations of the kept faces for normality when their statistics are collected.

    Writes into the run's folder, for each layer, ``normality_LAYER.csv`` (a row for all faces and for each attribute:
    share of the units that pass D'Agostino's test before and after a ReLU, share of activations that a ReLU sets to 0)
    and ``normality_LAYER.png`` with histograms and quantile plots of some units; ``normality.json`` sums up. The paper
    looked at a few histograms (Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning", 2016, fig. 6).

    Needs a model with ``statistics`` when validation ends, such as AttributeFaceGenerator; others are left alone.

    Args:
        layers: Layers to test; None takes all.
        level: False discovery rate that the units of an attribute are held to.
        units: Units of a layer that are tested, at most.
    """

    def __init__(self, layers: list[str] | None = None, level: float = 0.05, units: int = 512) -> None:
        self.layers = layers
        self.level = level
        self.units = units

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Test, write and draw on rank zero."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        statistics = getattr(pl_module, "statistics", None)
        if trainer.sanity_checking or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        if not isinstance(statistics, FaceStatistics) or len(statistics.kept) < LEAST_FACES:
            log.warning("no statistics with %d kept faces or more: normality is not tested", LEAST_FACES)
            return
        names = schema_of(pl_module).attributes
        found = []
        for layer in self.layers or list(statistics.layers):
            test = layer_normality(statistics, layer, names, level=self.level, units=self.units)
            found.append(test)
            write_text(folder / f"normality_{layer}.csv", rows_text(test.rows))
            save_figure(trainer, draw_normality(test), folder / f"normality_{layer}.png", f"val/normality_{layer}")
            log.info("normality of %s: %s", layer, sentence(test))
        write_text(folder / "normality.json", json.dumps([plain(test) for test in found], indent=1) + "\n")


def sentence(test: LayerNormality) -> str:
    """The result for all faces in words."""
    everybody = test.rows[0]
    return (
        f"{everybody.passed:.0%} of {everybody.units} units pass over all {everybody.faces} kept faces, "
        f"{everybody.passed_rectified:.0%} after a ReLU, which sets {everybody.zeros:.0%} of the activations to 0"
    )


def plain(test: LayerNormality) -> dict[str, Any]:
    """A test as plain values for JSON; a number that cannot be said is null."""
    known = [row.passed for row in test.rows[1:] if not math.isnan(row.passed)]
    return {
        "layer": test.layer,
        "false_discovery_rate": test.level,
        "attributes_tested": len(known),
        "mean_share_of_units_that_pass": float(np.mean(known)) if known else None,
        "rows": [without_nan(asdict(row)) for row in test.rows],
    }


def rows_text(rows: Sequence[AttributeNormality]) -> str:
    """Rows as csv; a number that cannot be said is an empty field."""
    names = [field.name for field in fields(AttributeNormality)]
    return csv_text(names, (short_numbers(getattr(row, name) for name in names) for row in rows))


def draw_normality(test: LayerNormality) -> Figure:
    """Bars of the share of units that pass, an attribute a bar; below them some units as they are.

    Attributes of too few faces to test have no bar; the title counts them.
    """
    rows = [row for row in test.rows if not math.isnan(row.passed)]
    untested = len(test.rows) - len(rows)
    size = max(1, -(-len(rows) // _COLUMNS))
    units = test.samples[:8]
    heights = [0.8 + 0.16 * size, 1.5, 1.5] if units else [0.8 + 0.16 * size]
    figure = Figure(figsize=(13.5, sum(heights) + 0.8), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    panels = parts[0].subplots(1, _COLUMNS, squeeze=False)[0]
    for number, axes in enumerate(panels):
        _draw_bars(axes, rows[number * size : (number + 1) * size], size)
    if units:
        for axes, unit in zip(parts[1].subplots(1, len(units), squeeze=False)[0], units, strict=True):
            _draw_histogram(axes, unit)
        for axes, unit in zip(parts[2].subplots(1, len(units), squeeze=False)[0], units, strict=True):
            _draw_quantiles(axes, unit)
    figure.suptitle(
        f"{test.layer}: {sentence(test)}\nblue: share of units whose normality is not rejected, before the ReLU   ·   "
        "red: after it   ·   grey dot: share of zeros after it"
        + (f"   ·   {untested} attributes of too few faces are left out" if untested else ""),
        fontsize=9,
    )
    return figure


def _draw_bars(axes: Axes, rows: Sequence[AttributeNormality], size: int) -> None:
    places = np.arange(len(rows))
    axes.barh(places - 0.18, [row.passed for row in rows], height=0.34, color=_BLUE)
    axes.barh(places + 0.18, [row.passed_rectified for row in rows], height=0.34, color=_RED)
    axes.plot([row.zeros for row in rows], places, "o", color=_GREY, markersize=3)
    dress(axes, places, [f"{row.attribute} ({row.faces})" for row in rows], size)
    axes.set_xlim(0, 1)


def _draw_histogram(axes: Axes, unit: UnitSample) -> None:
    axes.hist(unit.values.numpy(), bins=40, color=_RED if unit.rejected else _BLUE, alpha=0.8)
    axes.axvline(0, color=_GREY, linewidth=0.7)
    axes.set_title(f"unit {unit.unit}: {'rejected' if unit.rejected else 'passes'}", fontsize=7)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=6)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_quantiles(axes: Axes, unit: UnitSample) -> None:
    values, normal = unit.values.numpy(), unit.normal.numpy()
    mean, deviation = float(values.mean()), float(values.std())
    ends = normal[[0, -1]]
    axes.plot(ends, mean + deviation * ends, color=_GREY, linewidth=0.8)
    axes.plot(normal, values, ".", markersize=1.5, color=_RED if unit.rejected else _BLUE)
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
