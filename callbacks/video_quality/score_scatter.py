"""A picture of predicted against true scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.figures.collect import CollectTestResults
from callbacks.figures.pictures import save_figure
from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.video_quality.metrics import plcc, srcc
from lightning_modules.video_quality.score_map import four_parameter_logistic

log = logging.getLogger(__name__)


class ScoreScatter(CollectTestResults):
    """Draw the test set's predicted score against its MOS, with the fitted score map where there is one.

    Writes ``test_scatter.png`` and ``test_scores.csv`` (index, video, score_raw, mos) into the run's folder and sends
    the picture to TensorBoard and W&B where they log.

    Args:
        filename: Name of the picture inside the run's folder.
    """

    def __init__(self, filename: str = "test_scatter.png") -> None:
        super().__init__()
        self.filename = filename

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Predicted and true score."""
        return {"score_raw": outputs["score_raw"], "mos": batch["mos"]}

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Draw, write and log on rank zero."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        known = torch.isfinite(table["mos"])
        if not trainer.is_global_zero or trainer.sanity_checking or int(known.sum()) < 2:
            return
        scores, mos = table["score_raw"][known].double(), table["mos"][known].double()
        params = getattr(module, "score_map", None)
        figure = draw_scatter(scores, mos, params if isinstance(params, Tensor) else None)
        folder.mkdir(parents=True, exist_ok=True)
        rows = zip(table["index"][known].tolist(), scores.tolist(), mos.tolist(), strict=True)
        write_text(folder / "test_scores.csv", csv_text(["index", "score_raw", "mos"], map(short_numbers, rows)))
        save_figure(trainer, figure, folder / self.filename, "test/scatter")
        log.info("scatter plot: %s", folder / self.filename)


def draw_scatter(scores: Tensor, mos: Tensor, score_map: Tensor | None = None) -> Figure:
    """Scatter of predicted scores (N,) in any unit against mean opinion scores (N,).

    ``score_map`` are the (4,) parameters of the logistic from score to MOS; it is not drawn when None or NaN.
    """
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(scores, mos, s=18, alpha=0.65, linewidths=0, color="#2166ac", label=f"{len(scores)} videos")
    if score_map is not None and bool(torch.isfinite(score_map).all()):
        grid = torch.linspace(float(scores.min()), float(scores.max()), 200, dtype=torch.float64)
        curve = four_parameter_logistic(grid, score_map.double().cpu())
        axes.plot(grid, curve, color="#b2182b", linewidth=1.8, label="logistic fitted on validation")
    axes.set_xlabel("predicted score (raw)")
    axes.set_ylabel("true score (MOS)")
    axes.set_title(f"SRCC {float(srcc(scores, mos)):.3f}   PLCC {float(plcc(scores, mos)):.3f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure
