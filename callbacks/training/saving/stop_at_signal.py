"""Save and end at the next whole step when the system asks."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import STEP_OUTPUT

from callbacks.training.parameter_ema import averages_of
from callbacks.training.saving.best_and_last import BestAndLast, flush_logs, is_validated_next

log = logging.getLogger(__name__)

# What a job script asks Slurm to send before the wall time ends; Windows, which has no Slurm, does not have it.
TIME_IS_UP: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGTERM)


class StoppedBySignal(SystemExit):
    """The training was stopped between two steps, after ``last.ckpt`` was written.

    Attributes:
        code: 128 plus the signal's number as a shell has it, or 0 where the run goes on by itself.
    """


class StopAtSignal(Callback):
    """Write ``last.ckpt`` and end the training at the next step of the optimiser after SIGTERM or SIGUSR1.

    The handlers only take a note: Lightning's own save inside the handler, perhaps in the middle of a step, or wait for
    other processes there. All processes agree after each step, so that they end at the same one. A validation that is
    due or under way is stopped before its next batch, and begins anew in the resumed run. The command line adds this
    callback to every ``fit`` by itself.

    Args:
        requeue: Puts the job back into its queue; called by the first process after SIGUSR1. None leaves SIGUSR1 alone.
    """

    def __init__(self, requeue: Callable[[], bool] | None = None) -> None:
        self.requeue = requeue
        self._asked = 0
        self._first = self._step = 0
        self._shared_batches = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals over from Lightning, which gives them back at its end."""
        self._asked, self._first, self._step = 0, trainer.global_step, trainer.global_step
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers there alone
        for number in (signal.SIGTERM, *((TIME_IS_UP,) if self.requeue else ())):
            self._before[number] = signal.signal(number, self._take_note)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End here if a process was asked to at the end of the epoch before, whose checkpoint is written.

        Raises:
            StoppedBySignal: If so.
        """
        saver = saver_of(trainer)
        if saver is not None and trainer.global_step != self._first:
            flush_logs(trainer)
            self._end_if_asked(trainer, lambda: saver.last_model_path)  # one written here would skip an epoch

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the signals back, and end here if one came after the last step, whose checkpoint is written.

        Raises:
            StoppedBySignal: If so.
        """
        asked = self._agreed(trainer)
        if asked:
            log.info("stopped by %s at the end of the training", asked.name)
            self._end(trainer, asked)
        self._give_back()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._give_back()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401  # as inherited
        batch_idx: int,
    ) -> None:
        """End here if any process was asked to.

        Raises:
            StoppedBySignal: After the checkpoint is written.
        """
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if stepped and not is_validated_next(trainer):
            self._end_if_asked(trainer, lambda: save_newest(trainer))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count the batches that every process has, before each of which they agree."""
        own = float(sum(trainer.num_val_batches))
        number = torch.tensor(own if own < float("inf") else 0.0, device=trainer.strategy.root_device)
        self._shared_batches = float(trainer.strategy.reduce(number, reduce_op="min"))

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ANN401  # as inherited
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """End here if any process was asked to.

        Raises:
            StoppedBySignal: After the checkpoint is written.
        """
        self._shared_batches -= 1
        if trainer.sanity_checking or self._shared_batches < 0:
            return
        self._end_if_asked(trainer, lambda: save_newest(trainer))

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        self._asked = max(self._asked, number)  # no line is logged here: the signal may have come while one is written

    def _agreed(self, trainer: L.Trainer) -> signal.Signals | None:
        """The signal that any process got; all processes ask after the same step."""
        asked = self._asked
        if trainer.world_size > 1:
            noted = torch.tensor(asked, device=trainer.strategy.root_device)
            asked = int(trainer.strategy.reduce(noted, reduce_op="max"))  # SIGTERM is the higher of the two
        return signal.Signals(asked) if asked else None

    def _end_if_asked(self, trainer: L.Trainer, save: Callable[[], str]) -> None:
        asked = self._agreed(trainer)
        if asked:
            if trainer.validating:
                leave_validation(trainer)
            path = save()
            log.info(
                "stopped by %s after step %d: %s; the same command with --ckpt_path resumes from it",
                asked.name, trainer.global_step, path,
            )  # fmt: skip
            self._end(trainer, asked)

    def _end(self, trainer: L.Trainer, asked: signal.Signals) -> None:
        trainer.strategy.barrier()
        while self._before:  # a queue that takes the job back ends its processes, which are ending already
            signal.signal(self._before.popitem()[0], signal.SIG_IGN)
        again = asked == TIME_IS_UP and trainer.is_global_zero and self.requeue is not None and self.requeue()
        # Where Lightning started the other processes it kills all at once when one of them ends with another code.
        raise StoppedBySignal(0 if again or not trainer.is_global_zero else 128 + asked)

    def _give_back(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, handler)


def leave_validation(trainer: L.Trainer) -> None:
    """Make a checkpoint in the middle of a validation one that goes on with the whole validation."""
    progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
    progress.increment_started()  # that is how Lightning knows an unfinished one
    progress.current.reset()
    for averaging in averages_of(trainer):
        averaging.on_validation_epoch_end(trainer, trainer.lightning_module)  # puts the weights that train back


def saver_of(trainer: L.Trainer) -> BestAndLast | None:
    """What keeps ``last.ckpt``, if anything does."""
    return next((one for one in trainer.checkpoint_callbacks if isinstance(one, BestAndLast)), None)


def save_newest(trainer: L.Trainer) -> str:
    """Write ``last.ckpt`` where the run keeps it; all processes call this at the same step."""
    saver = saver_of(trainer)
    if saver is not None:
        saver.save_last_now(trainer)
        return saver.last_model_path
    flush_logs(trainer)
    path = f"{trainer.default_root_dir}/checkpoints/last.ckpt"
    trainer.save_checkpoint(path)
    return path
