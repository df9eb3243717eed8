"""A signal ends the training between two steps, with what was learnt until then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.saving.best_and_last import BestAndLast
from callbacks.training.saving.stop_at_signal import StopAtSignal, StoppedBySignal
from tests.running import quiet_trainer

LOADER = DataLoader(TensorDataset(torch.ones(12, 1)))


class Toy(L.LightningModule):
    """Sends a signal to its own process in the middle of a step."""

    def __init__(self, number: int | None, at: int = 6) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.number, self.at = number, at

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.number is not None and batch_idx == self.at:
            os.kill(os.getpid(), self.number)
        return -self.weight

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", -self.weight.detach(), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(folder: Path, module: Toy, requeue: Callable[[], bool] | None, **options: object) -> None:
    saver = BestAndLast("val/loss", dirpath=str(folder))
    settings = {"max_epochs": 2, "num_sanity_val_steps": 0, "enable_checkpointing": True, **options}
    quiet_trainer(folder, StopAtSignal(requeue), saver, **settings).fit(module, LOADER, LOADER)


def saved(folder: Path) -> tuple[int, float]:
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    return checkpoint["global_step"], float(checkpoint["state_dict"]["weight"])


@pytest.mark.parametrize("accumulated", [1, 4])
def test_sigterm_saves_after_the_step_and_ends_with_143(tmp_path: Path, accumulated: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedBySignal) as stopped:
        fit(tmp_path, Toy(signal.SIGTERM), lambda: True, accumulate_grad_batches=accumulated)
    assert stopped.value.code == 143
    whole = 7 if accumulated == 1 else 2
    assert saved(tmp_path) == (whole, float(whole))
    assert not (tmp_path / "best.ckpt").exists()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("again", "code"), [(True, 0), (False, 128 + signal.SIGUSR1)])
def test_sigusr1_queues_the_job_again(tmp_path: Path, again: bool, code: int) -> None:
    asked = []
    with pytest.raises(StoppedBySignal) as stopped:
        fit(tmp_path, Toy(signal.SIGUSR1), lambda: asked.append(saved(tmp_path)) is None and again)
    assert (stopped.value.code, asked) == (code, [(7, 7.0)])  # saved before it is queued


def test_a_signal_in_the_last_validation_is_not_lost(tmp_path: Path) -> None:
    class Late(Toy):
        def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
            super().validation_step(batch, batch_idx)
            if self.current_epoch == 1 and batch_idx == 11:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedBySignal) as stopped:
        fit(tmp_path, Late(None), None)
    assert stopped.value.code == 143
    assert saved(tmp_path) == (24, 24.0)


def test_a_training_that_nobody_stops_runs_through(tmp_path: Path) -> None:
    fit(tmp_path, Toy(None), lambda: True)
    assert saved(tmp_path) == (24, 24.0)
