"""Progress as plain lines, for output that goes to a file or a pipe."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

log = logging.getLogger(__name__)


class PlainProgress(ProgressBar):
    """Log one line an epoch with its metrics, and one every ``every_percent`` of a long stage.

    Nothing is overwritten in place, so that a log file stays readable.

    Args:
        every_percent: Distance of the lines inside an epoch, in percent of its steps.
        min_seconds: Shortest time between two such lines; an epoch that takes less has none.
    """

    def __init__(self, every_percent: int = 20, min_seconds: float = 10.0) -> None:
        super().__init__()
        self.every_percent = every_percent
        self.min_seconds = min_seconds
        self._enabled = True
        self._epoch_started = 0.0
        self._last_line = 0.0

    def disable(self) -> None:
        """Be silent; Lightning calls it on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how large the model is."""
        total = sum(parameter.numel() for parameter in pl_module.parameters())
        trained = sum(parameter.numel() for parameter in pl_module.parameters() if parameter.requires_grad)
        share = "all" if trained == total else f"{trained:,}"
        self._say(f"{type(pl_module).__name__}: {total:,} parameters, {share} of them trained")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Say how far the epoch is."""
        self._step(f"epoch {trainer.current_epoch}", batch_idx + 1, self.total_train_batches)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what the epoch gave; validation has run by now."""
        seconds = time.monotonic() - self._epoch_started
        last = "" if (trainer.max_epochs or -1) < 0 else f"/{(trainer.max_epochs or 0) - 1}"
        metrics = shown_metrics({**trainer.progress_bar_metrics, **trainer.callback_metrics})
        self._say(f"epoch {trainer.current_epoch}{last}  {seconds:.0f} s  {metrics}")

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the stage, or of the epoch."""
        self._epoch_started = self._last_line = time.monotonic()

    on_train_start = on_train_epoch_start = on_predict_start = on_test_start  # a resumed epoch is not started anew

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say how far the test is."""
        self._step("test", batch_idx + 1, trainer.num_test_batches[dataloader_idx])

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say how far the prediction is."""
        self._step("predict", batch_idx + 1, trainer.num_predict_batches[dataloader_idx])

    def _step(self, what: str, done: int, total: float) -> None:
        now = time.monotonic()
        if total in (0, float("inf")) or done >= total or now - self._last_line < self.min_seconds:
            return
        if 100 * done // total // self.every_percent > 100 * (done - 1) // total // self.every_percent:
            self._last_line = now
            self._say(f"{what}: {done} of {int(total)} steps, {now - self._epoch_started:.0f} s")

    def _say(self, text: str) -> None:
        if self._enabled:
            log.info("%s", text)


def shown_metrics(metrics: Mapping[str, Tensor | float]) -> str:
    """Metrics as ``name value`` in one line.

    Example:
        >>> shown_metrics({"val/srcc": 0.8312, "v_num": 3})
        'val/srcc 0.8312'
    """
    plain = {name: float(value) for name, value in metrics.items() if name != "v_num" and not name.endswith("_step")}
    return "  ".join(f"{name} {value:.4g}" for name, value in plain.items())
