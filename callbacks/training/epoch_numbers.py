"""The numbers of each training epoch, once all of them are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback


class EpochRow(NamedTuple):
    """What one epoch gave.

    Attributes:
        epoch: Number of the epoch, from 0.
        values: ``learning_rate`` (of the first parameter group, when the epoch began) and every logged metric.
    """

    epoch: int
    values: dict[str, float]


class EpochNumbers(Callback, ABC):
    """Hand the numbers of every finished epoch to :meth:`epoch_done`.

    Lightning calls ``on_train_epoch_end`` of callbacks before that of the module, so that what the module logs there
    is still that of the epoch before. An epoch is therefore handed over when the next one begins, or the training
    ends. Metrics of ``val/`` are left out for an epoch without validation: Lightning repeats the old ones.
    """

    def __init__(self) -> None:
        self._pending: EpochRow | None = None
        self._validated = False
        self._learning_rate: dict[str, float] = {}
        self._trainer: L.Trainer | None = None

    @abstractmethod
    def epoch_done(self, trainer: L.Trainer, row: EpochRow) -> None:
        """Use an epoch's numbers; called once an epoch, on every process."""

    @property
    def pending(self) -> EpochRow | None:
        """The epoch whose numbers are not yet handed over, with those known so far; all processes ask."""
        if self._pending is None or self._trainer is None:
            return self._pending
        return EpochRow(self._pending.epoch, self._pending.values | self._metrics(self._trainer))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier run; a checkpoint that is resumed is read after this."""
        if stage == "fit":
            self._pending, self._trainer = None, trainer
            self._validated = False

    def state_dict(self) -> dict[str, Any]:
        """What is known of the epoch that is running, and of the one that is just ending."""
        row = self.pending
        return {
            "learning_rate": dict(self._learning_rate),
            "validated": self._validated,
            "pending": None if row is None else {"epoch": row.epoch, "values": dict(row.values)},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the epoch of a resumed training, whose beginning is not seen again."""
        self._learning_rate = dict(state_dict.get("learning_rate", {}))
        self._validated = bool(state_dict.get("validated", False))
        row = state_dict.get("pending")
        self._pending = None if row is None else EpochRow(int(row["epoch"]), dict(row["values"]))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remember that this epoch was validated."""
        self._validated = self._validated or not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the numbers that are there."""
        self._pending = EpochRow(trainer.current_epoch, self._learning_rate | self._metrics(trainer))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand over the epoch before, and note the learning rate of this one."""
        self._hand_over(trainer, complete=True)
        self._validated = False
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        self._learning_rate = {"learning_rate": float(rates[0])} if rates else {}

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand over the last epoch."""
        self._hand_over(trainer, complete=True)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Hand over an epoch that had ended before the training broke off."""
        self._hand_over(trainer, complete=False)

    def _hand_over(self, trainer: L.Trainer, *, complete: bool) -> None:
        row, self._pending = self._pending, None
        if row is not None:
            late = self._metrics(trainer) if complete else {}
            self.epoch_done(trainer, EpochRow(row.epoch, row.values | late))

    def _metrics(self, trainer: L.Trainer) -> dict[str, float]:
        # All processes read them: the first look at a metric may be a collective call.
        metrics: dict[str, Any] = trainer.callback_metrics
        return {
            name: float(value)
            for name, value in metrics.items()
            if not name.endswith("_step") and (self._validated or not name.startswith("val/"))
        }
