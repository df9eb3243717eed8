"""Schedules of the learning rate: lowered where the validation loss stands still, and divided by time."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim.lr_scheduler import MultiplicativeLR, ReduceLROnPlateau

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.settings import RecognizerConfig, check_plateau

_MINIMUM_GAIN = 1e-4  # Keras' own: a smaller fall of the loss is no improvement


def make_schedules(
    optimizer: torch.optim.Optimizer, config: RecognizerConfig, epochs: int | None, legacy: bool
) -> list[LRSchedulerConfigType]:
    """Every schedule but ``cosine`` that a recogniser asks for; together they may lower the learning rate twice.

    ``legacy`` lets a schedule be that can never act; ``epochs`` is the length of the training.

    Raises:
        ConfigurationError: If a schedule could never act, or needs the length and there is none.
    """
    schedules = []
    if config.schedule == "plateau":
        if not legacy:
            check_plateau(config.min_learning_rate, max(group["lr"] for group in optimizer.param_groups))
        schedules.append(plateau_schedule(optimizer, config))
    if config.time_decay > 0:
        schedules.append(time_decay_schedule(optimizer, config.time_decay, epochs))
    return schedules


def plateau_schedule(optimizer: torch.optim.Optimizer, config: RecognizerConfig) -> LRSchedulerConfigType:
    """Lower the learning rate after so many epochs in a row without a better ``val/loss``.

    Args:
        optimizer: Whose learning rates it lowers.
        config: Factor, patience and smallest learning rate.
    """
    schedule = ReduceLROnPlateau(
        optimizer,
        factor=config.plateau_factor,
        patience=config.plateau_patience - 1,  # PyTorch counts those it bears, Keras the one it acts at
        threshold=_MINIMUM_GAIN,
        threshold_mode="abs",
        min_lr=config.min_learning_rate,
    )
    return {"scheduler": schedule, "interval": "epoch", "monitor": "val/loss", "strict": False}


def time_decay_schedule(
    optimizer: torch.optim.Optimizer, time_decay: float, epochs: int | None
) -> LRSchedulerConfigType:
    """Divide the learning rate at step t by ``1 + time_decay / epochs * t``; other schedules may lower it too.

    Raises:
        ConfigurationError: If the length of the training is not known.
    """
    if epochs is None or epochs < 1:
        raise ConfigurationError(
            f"time_decay is {time_decay:g}, but the training has no last epoch: set trainer.max_epochs, or time_decay "
            "to 0."
        )
    decay = time_decay / epochs
    schedule = MultiplicativeLR(optimizer, lambda step: (1 + decay * (step - 1)) / (1 + decay * step))
    return {"scheduler": schedule, "interval": "step"}
