"""The progress bar of a terminal."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from rich.progress import ProgressColumn, Task
from rich.text import Text
from torch import Tensor

from callbacks.training.plain_progress import model_size

log = logging.getLogger(__name__)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{task.speed:.2f} steps/s" if task.speed >= 1 else f"{1 / task.speed:.1f} s/step")


class TerminalProgress(RichProgressBar):
    """Lightning's Rich bar with the last batch's loss and the measure that chooses the checkpoint beside it."""

    _loss: float | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how large the model is."""
        if trainer.is_global_zero:
            log.info("%s", model_size(pl_module, trainer.world_size))

    def configure_columns(self, trainer: L.Trainer) -> list[ProgressColumn]:
        """Lightning's columns, with seconds a step in the place of no steps a second."""
        return [*super().configure_columns(trainer)[:-1], _Speed()]

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
