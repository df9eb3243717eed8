"""The best checkpoint and the newest one: when they are written, and what a resumed run knows."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.saving.best_and_last import BestAndLast
from datamodules.common.errors import ConfigurationError
from tests.running import quiet_trainer

LOSSES = [3.0, 1.0, 2.0, 4.0, 0.5]
LOADER = DataLoader(TensorDataset(torch.ones(6, 1)))


class Toy(L.LightningModule):
    """Its weight is the number of steps; its loss is prescribed."""

    def __init__(self, stop_in: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.stop_in = stop_in

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.current_epoch == self.stop_in and batch_idx == 3:
            raise ValueError("the power is gone")
        return -self.weight

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", LOSSES[self.current_epoch], batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(
    folder: Path, saver: ModelCheckpoint, stop_in: int | None = None, resume: Path | None = None, **options: Any
) -> None:
    settings = {"max_epochs": len(LOSSES), "num_sanity_val_steps": 0, "enable_checkpointing": True, **options}
    trainer = quiet_trainer(folder, saver, **settings)
    try:
        trainer.fit(Toy(stop_in), LOADER, LOADER, ckpt_path=resume, weights_only=True)
    except ValueError:
        assert stop_in is not None


def saver(folder: Path, **options: Any) -> BestAndLast:
    return BestAndLast("val/loss", "min", dirpath=str(folder), **options)


def steps(path: Path) -> tuple[int, float]:
    """Step that a checkpoint names and the one that its weight tells."""
    saved = torch.load(path, weights_only=True)
    return saved["global_step"], float(saved["state_dict"]["weight"])


def test_last_is_the_newest_whatever_the_metric_did_and_best_the_best(tmp_path: Path) -> None:
    keeper = saver(tmp_path)
    fit(tmp_path, keeper, max_epochs=4)
    assert sorted(path.name for path in tmp_path.glob("*")) == ["best.ckpt", "last.ckpt"]
    assert steps(tmp_path / "last.ckpt") == (24, 24.0)
    assert steps(tmp_path / "best.ckpt") == (12, 12.0)
    assert (keeper.best_model_score, Path(keeper.best_model_path).name) == (1.0, "best.ckpt")


def test_an_error_loses_one_epoch_at_most_and_leaves_best_alone(tmp_path: Path) -> None:
    fit(tmp_path, saver(tmp_path), stop_in=3)
    assert steps(tmp_path / "last.ckpt") == (18, 18.0)
    assert steps(tmp_path / "best.ckpt") == (12, 12.0)


@pytest.mark.parametrize("accumulated", [1, 2, 3])
def test_minutes_write_within_an_epoch_after_whole_steps(tmp_path: Path, accumulated: int) -> None:
    fit(tmp_path, saver(tmp_path, every_minutes=1e-9), stop_in=0, accumulate_grad_batches=accumulated)
    step, weight = steps(tmp_path / "last.ckpt")
    assert step == 3 // accumulated == weight
    assert not (tmp_path / "best.ckpt").exists()


@pytest.mark.parametrize("place", ["its own folder", "another folder"])
@pytest.mark.parametrize("kept_by", ["this callback", "ModelCheckpoint"])
def test_a_resumed_run_ends_as_the_one_that_was_not_stopped(tmp_path: Path, place: str, kept_by: str) -> None:
    first = tmp_path / "first"
    keeper: ModelCheckpoint = saver(first)
    if kept_by == "ModelCheckpoint":  # as before this callback existed
        keeper = ModelCheckpoint(
            first, "best", "val/loss", save_last=True, auto_insert_metric_name=False, save_on_train_epoch_end=False
        )
    fit(first, keeper, stop_in=3)
    folder = first if place == "its own folder" else tmp_path / "second"
    again = saver(folder, every_minutes=None)
    fit(folder, again, resume=first / "last.ckpt", max_epochs=4)
    assert again.best_model_score == 1.0
    assert steps(Path(again.best_model_path)) == (12, 12.0)
    assert Path(again.best_model_path) == folder / "best.ckpt"
    assert steps(folder / "last.ckpt") == (24, 24.0)


def test_where_the_best_file_is_gone_its_score_is_the_one_to_beat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(tmp_path / "first", saver(tmp_path / "first"), stop_in=3)
    shutil.move(tmp_path / "first" / "last.ckpt", tmp_path / "last.ckpt")
    shutil.rmtree(tmp_path / "first")
    caplog.set_level(logging.WARNING)
    again = saver(tmp_path / "second")
    fit(tmp_path / "second", again, resume=tmp_path / "last.ckpt", max_epochs=4)
    assert "is gone" in caplog.text
    assert again.best_model_path == ""  # epoch 3 has 4.0, which is no better than the 1.0 of epoch 1
    assert not (tmp_path / "second" / "best.ckpt").exists()
    fit(tmp_path / "second", again, resume=tmp_path / "second" / "last.ckpt", max_epochs=5)
    assert steps(tmp_path / "second" / "best.ckpt") == (30, 30.0)


def test_time_between_two_checkpoints_is_above_zero() -> None:
    with pytest.raises(ConfigurationError, match="every_minutes is 0"):
        BestAndLast("val/loss", every_minutes=0)
