"""The features of faces on a plane, once for each attribute: which attributes form clusters."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from torch import Tensor

from callbacks.face_attributes.bars import give_title
from callbacks.face_attributes.measures import pick_facts, schema_of
from callbacks.figures.collect import CollectTestResults
from callbacks.figures.pictures import save_figure
from datamodules.common.atomic_write import write_text
from datamodules.faces.schema import ABSENT, MISSING, PRESENT
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

_FEWEST = 10  # faces with which a map is drawn at all
_NEIGHBOURS = 10
_PANELS = 8  # in a row
_COLOURS = {MISSING: "#d9d9d9", ABSENT: "#92c5de", PRESENT: "#b2182b"}  # drawn in this order


class FeatureEmbedding(CollectTestResults):
    """Map the features below the heads to a plane by t-SNE and colour them by every attribute.

    Writes into the run's folder ``feature_embedding.png``, a panel an attribute (fig. 3 of Cate, Dalvi, Hussain,
    "DeepFace: Face Generation using Deep Learning", 2016): red shows it, blue does not, grey has no label; and
    ``feature_embedding.csv`` with places and labels. The number over a panel says how well the ten nearest faces on the
    map tell the attribute: 0.5 where it forms no cluster.

    The step returns ``features`` ``(B, F)`` and ``attributes`` int8 ``(B, K)``.

    Args:
        faces: Faces of the map, spread evenly over the split; a thousand take some ten seconds.
        seed: Of the map.
    """

    def __init__(self, faces: int = 1000, seed: int = 0) -> None:
        super().__init__()
        self.faces = faces
        self.seed = seed

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Features, halved in memory, and labels."""
        picked = pick_facts(outputs, type(self).__name__, ("features", "attributes"))
        return {**picked, "features": picked["features"].flatten(1).half()}

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Map, draw and write on rank zero."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        number = len(table["features"])
        if number < _FEWEST:
            log.warning("%d faces are too few for a map of features, %d are needed", number, _FEWEST)
            return
        rows = torch.linspace(0, number - 1, min(self.faces, number)).round().long()
        log.info("mapping the features of %d faces by t-SNE", len(rows))
        features, labels = table["features"][rows].float(), table["attributes"][rows].numpy()
        places = map_features(features, self.seed)
        names = schema_of(module).attributes
        lines = (
            [index, f"{x:.5g}", f"{y:.5g}", *marks]
            for index, (x, y), marks in zip(
                table["index"][rows].tolist(), places.tolist(), labels.tolist(), strict=True
            )
        )
        write_text(folder / "feature_embedding.csv", csv_text(["index", "x", "y", *names], lines))
        save_figure(trainer, draw_embedding(places, labels, names), folder / "feature_embedding.png", "test/features")
        log.info("map of the features: %s", folder / "feature_embedding.png")


def map_features(features: Tensor, seed: int) -> NDArray[np.float32]:
    """Map features ``(N, F)`` to a plane ``(N, 2)``.

    They are rounded to a thousandth of their spread: t-SNE would make another map of another last bit, and these depend
    on the batch that a face is in.
    """
    step = 1e-3 * features.nan_to_num().std().clamp(min=1e-12)
    values = (torch.nan_to_num(features) / step).round().mul(step).numpy()
    perplexity = min(30.0, (len(values) - 1) / 3)
    mapper = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    places: NDArray[np.float32] = mapper.fit_transform(values)
    return places


def clustering(places: NDArray[Any], labels: NDArray[Any]) -> float:
    """Balanced accuracy with which the nearest labelled faces on the map tell an attribute; NaN for one class.

    Places are ``(N, 2)``; labels ``(N,)``: 1, 0 or -1 for missing.
    """
    known = labels != MISSING
    marks = labels[known] == PRESENT
    if not 0 < marks.sum() < len(marks):
        return math.nan
    near = places[known]
    distances = np.square(near[:, None] - near[None]).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    count = min(_NEIGHBOURS, len(marks) - 1)
    neighbours = np.argsort(distances, axis=1, kind="stable")[:, :count]
    answer = marks[neighbours].mean(axis=1) > marks.mean()  # against the attribute's share, so that rare ones count
    return float((answer[marks].mean() + (~answer[~marks]).mean()) / 2)


def draw_embedding(places: NDArray[Any], labels: NDArray[Any], names: Sequence[str]) -> Figure:
    """Scatter the map ``(N, 2)`` once for each of K attributes that some face has a label ``(N, K)`` for."""
    shown = [column for column in range(len(names)) if (labels[:, column] != MISSING).any()]
    columns = min(_PANELS, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(max(7.0, 1.7 * columns), 1.85 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
        axes.set(xticks=[], yticks=[])  # those that nobody sees would take most of the time
    for axes, column in zip(grid.flat, shown, strict=False):
        _draw_panel(axes, places, labels[:, column], names[column])
    give_title(
        figure,
        f"features of {len(places)} faces, t-SNE",
        "red: shows it, blue: does not, grey: no label",
        "number: how well neighbours tell it, 0.5 is chance",
    )
    return figure


def _draw_panel(axes: Axes, places: NDArray[Any], labels: NDArray[Any], name: str) -> None:
    for value, colour in _COLOURS.items():
        x, y = places[labels == value].T
        axes.scatter(x, y, s=3.5, c=colour, linewidths=0, alpha=0.8, rasterized=True)
    found = clustering(places, labels)
    axes.set_title(name if math.isnan(found) else f"{name} {found:.2f}", fontsize=7, pad=2)
