"""Exponential moving average of the parameters that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT


class ParameterEMA(EMAWeightAveraging):
    """Lightning's EMA callback over parameters only, with two holes closed.

    - Frozen parameters stay bit for bit as they are: averaging a constant with itself rounds, and the error grows to
      some hundred units in the last place.
    - A test or prediction that follows a training in the same process uses the averaged weights, as one in a process
      of its own does; Lightning's callback puts back the weights that were not averaged.

    Validation, test and the saved ``state_dict`` use the average.

    Args:
        decay: Share of the old average kept at each step.
        update_every_n_steps: Steps between two updates.
        update_starting_at_step: First step that is averaged; None begins at once.
    """

    def __init__(
        self, decay: float = 0.999, update_every_n_steps: int = 1, update_starting_at_step: int | None = None
    ) -> None:
        super().__init__(
            use_buffers=False,
            decay=decay,
            update_every_n_steps=update_every_n_steps,
            update_starting_at_step=update_starting_at_step,
        )

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        """Update the average, then set its frozen parameters to what they are in the model."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self._average_model is None:
            return
        pairs = zip(self._average_model.module.parameters(), pl_module.parameters(), strict=True)
        frozen = [(average.data, current.data) for average, current in pairs if not current.requires_grad]
        if frozen:
            averages, currents = zip(*frozen, strict=True)
            torch._foreach_copy_(averages, currents)

    @contextmanager
    def in_place(self, pl_module: L.LightningModule) -> Iterator[None]:
        """The average in the model while a training runs; what trains comes back."""
        if self._average_model is None:
            yield
            return
        self._swap_models(pl_module)
        try:
            yield
        finally:
            self._swap_models(pl_module)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Resume a training; elsewhere the averaged weights that the checkpoint holds are loaded already."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def averages_of(trainer: L.Trainer) -> list[WeightAveraging]:
    """The callbacks of a trainer that keep averaged weights."""
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # a part of the trainer sets it
    return [one for one in callbacks if isinstance(one, WeightAveraging)]
