"""The progress bar of a terminal."""

from __future__ import annotations

from collections.abc import Mapping

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor


class TerminalProgress(RichProgressBar):
    """Lightning's Rich bar with the last batch's loss and the measure that chooses the checkpoint beside it."""

    _loss: float | None = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Keep the loss for the bar."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor) and batch_idx % self.refresh_rate == 0:  # reading it waits for the device
            self._loss = float(loss.detach())
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Metrics shown beside the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)  # the run's number
        if trainer.training and self._loss is not None:
            metrics["loss"] = self._loss
        for saver in trainer.checkpoint_callbacks:
            monitored = getattr(saver, "monitor", None)
            if monitored in trainer.callback_metrics:
                metrics[monitored] = float(trainer.callback_metrics[monitored])
        return metrics
