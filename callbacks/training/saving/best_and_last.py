"""Two checkpoints a run: the best one, and the newest one to resume from."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT

from datamodules.common.atomic_write import atomic_path
from datamodules.common.errors import ConfigurationError

log = logging.getLogger(__name__)


class BestAndLast(ModelCheckpoint):
    """Keep ``best.ckpt``, and ``last.ckpt`` as of the newest step.

    ``last.ckpt`` is written at the end of every epoch, whatever the metric did, and every ``every_minutes`` between two
    steps of the optimiser. Neither an error nor Ctrl-C writes anything. A run that is resumed, in its own folder or in
    another, goes on with the best score so far: the best file comes with it, or, where that is gone, the score alone
    remains as the one to beat.

    Args:
        monitor: Logged metric that says which is best; None: the newest.
        mode: Whether it is best when low or high.
        every_minutes: Time between two ``last.ckpt`` within an epoch; None waits for the epoch's end.
        dirpath: Folder; None takes ``checkpoints`` in the run's folder.

    Raises:
        ConfigurationError: If ``every_minutes`` is not above 0.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_minutes: float | None = 15.0,
        dirpath: str | None = None,
    ) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ConfigurationError(
                f"every_minutes is {every_minutes:g}, but time passes between two checkpoints: give more, or null."
            )
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.every_minutes = every_minutes
        self._written_at = time.monotonic()
        self._step = 0

    @property
    def state_key(self) -> str:
        """The metric alone, so that a run resumed with another interval keeps its best score."""
        return f"{type(self).__qualname__}[{self.monitor}]"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count the minutes."""
        super().on_train_start(trainer, pl_module)
        self._written_at, self._step = time.monotonic(), trainer.global_step

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the rows of the epoch before to the disk, which are logged after its ``last.ckpt``."""
        flush_logs(trainer)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401  # as inherited
        batch_idx: int,
    ) -> None:
        """Write ``last.ckpt`` when it is due, the optimiser has just made its step, and no validation follows it."""
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if self.every_minutes is None or not stepped:
            return
        due = time.monotonic() - self._written_at >= 60.0 * self.every_minutes and not is_validated_next(trainer)
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self.save_last_now(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write ``best.ckpt`` if this epoch is the best, then ``last.ckpt``, which so knows of it."""
        super().on_train_epoch_end(trainer, pl_module)
        self.save_last_now(trainer)

    def save_last_now(self, trainer: L.Trainer) -> None:
        """Write ``last.ckpt``; all processes call this at the same step."""
        if getattr(trainer, "fast_dev_run", False) or trainer.sanity_checking:
            return
        flush_logs(trainer)
        self.last_model_path = self.format_checkpoint_name({}, self.CHECKPOINT_NAME_LAST)
        trainer.save_checkpoint(self.last_model_path, self.save_weights_only)
        self._written_at = time.monotonic()

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Find this callback's state, or that of the ModelCheckpoint of this metric, and bring the best file along."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        states: dict[str, Any] = checkpoint.get("callbacks", {})
        state = states.get(self.state_key) or next(
            (
                one
                for key, one in states.items()
                if key.startswith("ModelCheckpoint{") and one["monitor"] == self.monitor
            ),
            None,
        )
        if state is not None:
            states[self.state_key] = self._rebased(trainer, state)

    def _rebased(self, trainer: L.Trainer, state: dict[str, Any]) -> dict[str, Any]:
        """The state as if this folder had been the run's from the start."""
        score = state["best_model_score"]
        if score is None:
            return {**state, "dirpath": self.dirpath}
        before, here = Path(state["best_model_path"]), Path(self.format_checkpoint_name({}))
        if before != here and trainer.is_global_zero:
            if before.is_file():
                with atomic_path(here) as temporary:
                    shutil.copy2(before, temporary)  # its time too: it is no newer than the run before
            else:
                log.warning(
                    "The best checkpoint so far, %s (%s %.4g), is gone: a new one is written once a better is found.",
                    before, self.monitor, float(score),
                )  # fmt: skip
        trainer.strategy.barrier()
        path = str(here)
        return {
            **state,
            "dirpath": self.dirpath,
            "best_model_path": path if here.is_file() else "",
            "best_k_models": {path: score},
            "kth_best_model_path": path,
            "kth_value": score,
        }


def is_validated_next(trainer: L.Trainer) -> bool:
    """Whether a validation or the end of the epoch follows this batch; a checkpoint in between would skip them."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return loop.epoch_loop._num_ready_batches_reached() or loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


def flush_logs(trainer: L.Trainer) -> None:
    """Bring what was logged to the disk, so that a run that is killed has the rows up to its checkpoint."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.save()
