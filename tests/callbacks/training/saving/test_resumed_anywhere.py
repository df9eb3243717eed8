"""Wherever a signal stops a training, the resumed one ends with weights, scores and rows of one that ran through."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import Dataset

from callbacks import ParameterEMA
from callbacks.training.saving.best_and_last import BestAndLast
from callbacks.training.saving.epoch_means import EpochMeans
from callbacks.training.saving.stop_at_signal import StopAtSignal, StoppedBySignal
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from lightning_modules.commands.front.loggers import go_on
from tests.forks import forks, pair
from tests.running import quiet_trainer

BATCHES, EPOCHS = 5, 4


class Numbers(Dataset[Tensor]):
    """1 to so many."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: SampleIndex) -> Tensor:
        return torch.tensor([place.index + 1.0])


def numbers(trainer: L.Trainer, shuffle: bool) -> ResumableLoader[Tensor]:
    """Five batches for each process."""
    ranks = {"num_replicas": trainer.world_size, "rank": trainer.global_rank}
    rows = BATCHES * trainer.world_size
    return ResumableLoader(Numbers(rows), sampler=PaddedDistributedSampler(rows, shuffle=shuffle, **ranks))


class Toy(L.LightningModule):
    """Logs a loss that differs from step to step; its last process sends itself a signal in the second epoch."""

    def __init__(self, hook: str = "", batch: int = 0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.hook, self.batch = hook, batch
        self.validated: list[int] = []

    def at(self, hook: str, batch: int) -> None:
        here = hook, batch, self.current_epoch, self.global_rank
        if here == (self.hook, self.batch, 1, self.trainer.world_size - 1):
            os.kill(os.getpid(), signal.SIGTERM)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.at("training_step", batch_idx)
        loss = (self.weight - batch * (1 + self.current_epoch)).square().mean()
        self.log("train/loss", loss, batch_size=1 + batch_idx, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.at("validation_step", batch_idx)
        self.validated.append(self.global_step)
        self.log("val/loss", (self.weight - batch).square().mean(), batch_size=1)

    def on_train_epoch_end(self) -> None:
        self.at("on_train_epoch_end", 0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.5)


def fit(folder: Path, module: Toy, resume: Path | None = None, **options: object) -> BestAndLast:
    saver = BestAndLast("val/loss", dirpath=str(folder))
    logger = CSVLogger(str(folder), name="", version="")
    if resume:
        go_on([logger], folder, torch.load(resume, weights_only=True)["global_step"])
    settings = {"max_epochs": EPOCHS, "num_sanity_val_steps": 0, "enable_checkpointing": True, "logger": logger}
    trainer = quiet_trainer(
        folder, ParameterEMA(0.5), EpochMeans(), StopAtSignal(), saver, **settings, log_every_n_steps=1, **options
    )
    loader = numbers(trainer, shuffle=True)
    loader.trainer = trainer
    trainer.fit(module, loader, numbers(trainer, shuffle=False), ckpt_path=resume, weights_only=True)
    return saver


def rows(folder: Path) -> list[tuple[tuple[str, float], ...]]:
    """Rows of ``metrics.csv``, sorted within a step."""
    with (folder / "metrics.csv").open() as file:
        return sorted(
            tuple(sorted((key, round(float(value), 4)) for key, value in row.items() if value))
            for row in csv.DictReader(file)
        )


def check(folder: Path, hook: str, batch: int, **options: object) -> None:
    """Compare a training that was stopped there, and resumed, with one that ran through."""
    whole, stopped, resumed = Toy(), Toy(hook, batch), Toy()
    expected = fit(folder / "whole", whole, **options)
    with pytest.raises(StoppedBySignal):
        fit(folder / "stopped", stopped, **options)
    found = fit(folder / "stopped", resumed, folder / "stopped" / "last.ckpt", **options)

    assert set(stopped.validated) | set(resumed.validated) == set(whole.validated)
    assert found.best_model_score == expected.best_model_score
    for name in ("best.ckpt", "last.ckpt"):
        one, other = (torch.load(folder / run / name, weights_only=True) for run in ("whole", "stopped"))
        assert one["global_step"] == other["global_step"]
        assert one["state_dict"] == other["state_dict"]
    assert rows(folder / "stopped") == rows(folder / "whole")


@pytest.mark.parametrize("every", [1.0, 2])
@pytest.mark.parametrize(
    ("hook", "batch"),
    [
        ("training_step", 0),
        ("training_step", 1),
        ("training_step", 3),
        ("training_step", BATCHES - 1),
        ("validation_step", 0),
        ("validation_step", 2),
        ("validation_step", BATCHES - 1),
        ("on_train_epoch_end", 0),
    ],
)
def test_a_resumed_training_ends_as_one_that_ran_through(tmp_path: Path, hook: str, batch: int, every: float) -> None:
    check(tmp_path, hook, batch, val_check_interval=every)


def resume_one_of_two(environment: dict[str, str], folder: Path) -> None:
    """One process of a group that resumes where the signal stopped the other."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    for place in (("training_step", 1), ("training_step", BATCHES - 1), ("validation_step", 2)):
        check(Path(folder, *map(str, place)), *place, strategy="ddp", devices=2, use_distributed_sampler=False)


def test_two_processes_resume_as_one_does(tmp_path: Path) -> None:
    processes = [forks().Process(target=resume_one_of_two, args=(environment, tmp_path)) for environment in pair()]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]
