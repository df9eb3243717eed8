"""The progress bar of a terminal."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar


class TerminalProgress(RichProgressBar):
    """Lightning's Rich bar, without the run's number, which is not a metric."""

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Metrics shown beside the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
