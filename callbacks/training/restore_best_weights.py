"""Take the best checkpoint's weights when a training ends."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from datamodules.common.errors import CheckpointError, ConfigurationError

log = logging.getLogger(__name__)


class RestoreBestWeights(Callback):
    """Put the weights of ModelCheckpoint's best checkpoint back into the model when training ends.

    A test, a prediction or ``save_checkpoint`` that follows in the same process then uses them, as it does in Keras
    with ``restore_best_weights``. The checkpoints on disk stay as they are, and a training that breaks off restores
    nothing.

    Args:
        monitor: Metric of the ModelCheckpoint to follow; None takes the first one that monitors anything.
    """

    def __init__(self, monitor: str | None = None) -> None:
        self.monitor = monitor

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look for the ModelCheckpoint before any work is done.

        Raises:
            ConfigurationError: If there is none.
        """
        if not getattr(trainer, "fast_dev_run", False):  # it takes all checkpoint callbacks away
            self.saver(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Load the weights; each process reads the file that the first one wrote."""
        if getattr(trainer, "fast_dev_run", False):
            return
        saver = self.saver(trainer)
        path = str(trainer.strategy.broadcast(saver.best_model_path))
        if not path:
            log.warning(
                "No best weights to restore: ModelCheckpoint saved nothing by %s; the model keeps its last weights.",
                saver.monitor,
            )
            return
        checkpoint = read_checkpoint(Path(path))
        pl_module.on_load_checkpoint(checkpoint)
        pl_module.load_state_dict(checkpoint["state_dict"])
        score = saver.best_model_score
        reached = "" if score is None else f" ({saver.monitor} {float(score):.4g})"
        log.info("restored the weights of epoch %s%s: %s", checkpoint.get("epoch"), reached, Path(path).name)

    def saver(self, trainer: L.Trainer) -> ModelCheckpoint:
        """The ModelCheckpoint that says which weights are best.

        Raises:
            ConfigurationError: If there is none that fits ``monitor``.
        """
        monitoring = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint) and one.monitor]
        for one in monitoring:
            if self.monitor in (None, one.monitor):
                return one
        known = ", ".join(str(one.monitor) for one in monitoring) or "nothing"
        wanted = "a metric" if self.monitor is None else self.monitor
        raise ConfigurationError(
            f"RestoreBestWeights needs a ModelCheckpoint that monitors {wanted}, but {known} is monitored: add "
            "lightning.pytorch.callbacks.ModelCheckpoint with `monitor` to trainer.callbacks"
        )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code that it may hold.

    Raises:
        CheckpointError: If it is not there or holds no weights.
    """
    if not path.is_file():
        raise CheckpointError(
            f"The best checkpoint {path} is not there: on several machines, let the run's folder be one that all share."
        )
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f"The best checkpoint {path} cannot be read as tensors and plain values: is it complete?"
        ) from error
    if "state_dict" not in checkpoint:
        raise CheckpointError(f"The best checkpoint {path} holds no state_dict: was it replaced?")
    return checkpoint
