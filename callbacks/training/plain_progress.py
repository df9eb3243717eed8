"""Progress as plain lines, for output that goes to a file or a pipe."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sized

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.progress import duration

log = logging.getLogger(__name__)


class PlainProgress(ProgressBar):
    """Log one line an epoch with its metrics, and within a long stage how far it is and how long it will take.

    Nothing is overwritten in place, so that a log file stays readable.

    Args:
        every_percent: Distance of the lines inside a stage, in percent of its steps.
        min_seconds: Shortest time between two such lines; a stage that takes less has none.
        max_seconds: Longest time between two of them, where a step takes less.
    """

    def __init__(self, every_percent: int = 20, min_seconds: float = 10.0, max_seconds: float = 60.0) -> None:
        super().__init__()
        self.every_percent = every_percent
        self.min_seconds = min_seconds
        self.max_seconds = max_seconds
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
        self._say(model_size(pl_module, trainer.world_size))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Say how far the epoch is."""
        self._step(f"epoch {trainer.current_epoch}", batch_idx + 1, self.total_train_batches, trainer.train_dataloader)

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

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of a validation that is no part of a training."""
        if trainer.state.fn == "validate":
            self.on_test_start(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say how far a validation is that is no part of a training."""
        if trainer.state.fn == "validate":
            total = trainer.num_val_batches[dataloader_idx]
            self._step("validate", batch_idx + 1, total, trainer.val_dataloaders)

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
        self._step("test", batch_idx + 1, trainer.num_test_batches[dataloader_idx], trainer.test_dataloaders)

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
        total = trainer.num_predict_batches[dataloader_idx]
        self._step("predict", batch_idx + 1, total, trainer.predict_dataloaders)

    def _step(self, what: str, done: int, total: float, loader: object) -> None:
        now = time.monotonic()
        waited = now - self._last_line
        if total in (0, float("inf")) or done >= total or waited < self.min_seconds:
            return
        passed = 100 * done // total // self.every_percent > 100 * (done - 1) // total // self.every_percent
        if passed or waited > self.max_seconds:
            self._last_line = now
            spent = now - self._epoch_started
            left = spent / done * (total - done)
            self._say(f"{what}: {counted(done, int(total), loader)}, {spent:.0f} s, about {duration(left)} left")

    def _say(self, text: str) -> None:
        if self._enabled:
            log.info("%s", text)


def model_size(module: L.LightningModule, processes: int = 1) -> str:
    """Name and number of parameters, and of the processes that train them where there are several."""
    total = sum(parameter.numel() for parameter in module.parameters())
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    share = "all" if trained == total else f"{trained:,}"
    together = f", in {processes} processes" if processes > 1 else ""
    return f"{type(module).__name__}: {total:,} parameters, {share} of them trained{together}"


def counted(done: int, total: int, loader: object) -> str:
    """How far a loader is: in what its data set counts, where that is known, else in steps.

    Example:
        >>> counted(3, 10, None)
        '3 of 10 steps'
        >>> import torch
        >>> images = torch.utils.data.TensorDataset(torch.zeros(19))
        >>> counted(3, 10, torch.utils.data.DataLoader(images, batch_size=2))
        '6 of 19 samples'
    """
    if isinstance(loader, list) and len(loader) == 1:
        loader = loader[0]
    sampler = getattr(loader, "sampler", None)
    sampler = getattr(sampler, "sampler", sampler)  # of one that draws whole batches
    size = getattr(loader, "batch_size", None) or getattr(getattr(loader, "sampler", None), "batch_size", None)
    if not isinstance(loader, DataLoader) or not isinstance(sampler, Sized) or not isinstance(size, int):
        return f"{done} of {total} steps"
    samples = min(len(sampler), total * size)
    return f"{min(done * size, samples)} of {samples} {getattr(loader.dataset, 'unit', 'samples')}"


def shown_metrics(metrics: Mapping[str, Tensor | float]) -> str:
    """Metrics as ``name value`` in one line.

    Example:
        >>> shown_metrics({"val/srcc": 0.8312, "v_num": 3})
        'val/srcc 0.8312'
    """
    plain = {name: float(value) for name, value in metrics.items() if name != "v_num" and not name.endswith("_step")}
    return "  ".join(f"{name} {value:.4g}" for name, value in plain.items())
