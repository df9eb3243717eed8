"""What is logged of an epoch that was stopped in its middle, or right at its end."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.types import STEP_OUTPUT

KEY = "epoch_means"
ROW = "epoch_row"


class EpochMeans(Callback):
    """Let the logged means of an epoch cover the batches before a resume too, which Lightning forgets.

    A checkpoint within an epoch holds the sum and the weight of each mean so far, over all processes. One at its end
    holds the row that Lightning logs only after it, which a kill in between would lose. The command line adds this
    callback to every ``fit`` by itself.
    """

    def __init__(self) -> None:
        self._before: list[dict[str, Any]] = []
        self._row: dict[str, float] = {}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of an epoch that is not at its end, or the row of one that is."""
        epoch = trainer.fit_loop.epoch_progress.current.state_dict()
        is_running = epoch["processed"] < epoch["ready"]
        checkpoint[KEY] = sums(trainer) if is_running else []
        checkpoint[ROW] = {} if is_running else row(trainer)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the sums until the epoch goes on, and the row until the training does."""
        self._before = list(checkpoint.get(KEY, []))
        self._row = dict(checkpoint.get(ROW, {}))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the row of the epoch that ended before the resume, unless the logs have it."""
        values, self._row = self._row, {}
        if not values or not trainer.is_global_zero:
            return
        step = int(values.pop("step"))
        tables = [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        if tables and all(has_row(logger, step, values) for logger in tables):
            return
        for logger in trainer.loggers:
            logger.log_metrics(dict(values), step)

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


def row(trainer: L.Trainer) -> dict[str, float]:
    """What Lightning is about to log of an epoch that has just ended, and its step; all processes call this."""
    logged = trainer._logger_connector.metrics["log"] if trainer._results is not None else {}
    if not logged:
        return {}
    facts = {"epoch": trainer.current_epoch, "step": trainer.fit_loop.epoch_loop._batches_that_stepped - 1}
    return {**{name: float(value) for name, value in logged.items()}, **facts}


def has_row(logger: CSVLogger, step: int, values: Mapping[str, float]) -> bool:
    """Whether the file of a logger has the row of a step with some values."""
    logger.save()
    path = Path(logger.experiment.metrics_file_path)
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["step"] == str(step)]
    return any(all(row.get(name) for name in values) for row in rows)


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
