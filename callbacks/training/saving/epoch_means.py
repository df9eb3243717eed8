"""Means of the training over an epoch that was stopped in its middle."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import STEP_OUTPUT

KEY = "epoch_means"


class EpochMeans(Callback):
    """Let the logged means of an epoch cover the batches before a resume too, which Lightning forgets.

    A checkpoint within an epoch holds the sum and the weight of each mean so far, over all processes. The command line
    adds this callback to every ``fit`` by itself.
    """

    def __init__(self) -> None:
        self._before: list[dict[str, Any]] = []

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of an epoch that is not at its end."""
        epoch = trainer.fit_loop.epoch_progress.current.state_dict()
        checkpoint[KEY] = sums(trainer) if epoch["processed"] < epoch["ready"] else []

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the sums until the epoch goes on."""
        self._before = list(checkpoint.get(KEY, []))

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401  # as inherited
        batch_idx: int,
    ) -> None:
        """Add the sums to those of the first batch, before which Lightning empties them."""
        self._add(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the sums where the epoch was stopped after its last batch."""
        self._add(trainer, pl_module)

    def _add(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        while self._before:
            one = self._before.pop()
            results = trainer.fit_loop.epoch_loop._results
            results.log(
                one["hook"],
                one["name"],
                torch.tensor(0.0, device=pl_module.device),
                on_step=False,
                on_epoch=True,
                sync_dist=one["synced"],
                sync_dist_fn=trainer.strategy.reduce,
                batch_size=0,
            )
            if trainer.is_global_zero or not one["synced"]:
                # The sum itself: a mean of it times its weight would not be it to the last bit.
                result = results[f"{one['hook']}.{one['name']}"]
                result.value = result.value + one["sum"]
                result.cumulated_batch_size = result.cumulated_batch_size + one["weight"]


def sums(trainer: L.Trainer) -> list[dict[str, Any]]:
    """Sum and weight of each mean over the epoch so far; all processes call this at the same step."""
    found = []
    for result in trainer.fit_loop.epoch_loop._results.values():
        meta = result.meta
        if result.has_reset or not result.is_tensor or meta.on_step or not meta.is_mean_reduction:
            continue
        pair = torch.stack([result.value.double(), result.cumulated_batch_size.double()])
        if meta.sync.should and trainer.world_size > 1:
            pair = trainer.strategy.reduce(pair, reduce_op="sum")
        total, weight = pair.tolist()
        if weight:
            one = {"hook": meta.fx, "name": meta.name, "sum": total, "weight": int(weight), "synced": meta.sync.should}
            found.append(one)
    return found
