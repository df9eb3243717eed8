"""The curves of a training: the table after each epoch, the picture at its end, in one piece over a resumed run."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.image import imread
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.curves import PANELS, BestEpoch, TrainingCurves, draw_curves, table_text
from tests.lines import look_of
from tests.running import quiet_trainer
from tests.tables import csv_rows

LOADER = DataLoader(TensorDataset(torch.ones(2, 1)))


class Toy(L.LightningModule):
    """Loss falls, accuracy rises, and the best epoch is the second."""

    def __init__(self, stop_at: int = -1) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)
        self.stop_at = stop_at

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.current_epoch == self.stop_at:
            raise RuntimeError("the power is off")
        self.log_dict(
            {"train/loss": 1.0 / (1 + self.current_epoch), "train/accuracy": 0.5 + 0.1 * self.current_epoch},
            on_step=False,
            on_epoch=True,
            batch_size=1,
        )
        return self.net(batch[0]).mean()

    def on_train_epoch_end(self) -> None:
        self.log("train/sparsity", float(self.current_epoch))

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", abs(self.current_epoch - 1.0), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer_with(folder: Path, *callbacks: Callback, **options: object) -> L.Trainer:
    settings = {"max_epochs": 4, "enable_checkpointing": True, **options}
    return quiet_trainer(folder, ModelCheckpoint(folder, "best", monitor="val/loss"), *callbacks, **settings)


def table(folder: Path) -> list[dict[str, str]]:
    return csv_rows(folder / "training_curves.csv")


def test_table_and_picture_without_a_logger(tmp_path: Path) -> None:
    trainer_with(tmp_path, TrainingCurves()).fit(Toy(), LOADER, LOADER)
    rows = table(tmp_path)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["val/loss"]) for row in rows] == [1, 0, 1, 2]
    assert [float(row["train/sparsity"]) for row in rows] == [0, 1, 2, 3]
    assert {float(row["learning_rate"]) for row in rows} == {0.1}
    picture = imread(tmp_path / "training_curves.png")
    assert picture.shape[0] > 300
    assert picture.shape[1] > 1.8 * picture.shape[0]  # two panels


def test_the_picture_goes_to_tensorboard(tmp_path: Path) -> None:
    logger = TensorBoardLogger(str(tmp_path), name="", version="logs")
    trainer_with(tmp_path, TrainingCurves(), logger=logger, max_epochs=1).fit(Toy(), LOADER, LOADER)
    assert (tmp_path / "logs" / "training_curves.png").is_file()
    (events,) = (tmp_path / "logs").glob("events.*")
    assert b"train/curves" in events.read_bytes()


def test_a_training_that_breaks_off_leaves_its_curves(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power"):
        trainer_with(tmp_path, TrainingCurves()).fit(Toy(stop_at=2), LOADER, LOADER)
    assert len(table(tmp_path)) == 2
    assert (tmp_path / "training_curves.png").is_file()


def test_a_resumed_training_continues_the_curves(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    newest = ModelCheckpoint(first, "newest")
    trainer_with(first, TrainingCurves(), newest, max_epochs=2).fit(Toy(), LOADER, LOADER)
    resumed = trainer_with(second, TrainingCurves(), max_epochs=4)
    resumed.fit(Toy(), LOADER, LOADER, ckpt_path=first / "newest.ckpt", weights_only=True)
    rows = table(second)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["train/loss"]) for row in rows] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4], rel=1e-5)


def test_a_resumed_training_that_cannot_begin_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Callback):
        def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            raise RuntimeError("no disk")

    monkeypatch.chdir(tmp_path)
    newest = ModelCheckpoint(tmp_path / "first", "newest")
    trainer_with(tmp_path / "first", TrainingCurves(), newest, max_epochs=1).fit(Toy(), LOADER, LOADER)
    with pytest.raises(RuntimeError, match="disk"):
        trainer_with(tmp_path / "second", Broken(), TrainingCurves()).fit(
            Toy(), LOADER, LOADER, ckpt_path=tmp_path / "first" / "newest.ckpt", weights_only=True
        )
    assert not list(tmp_path.glob("*.png"))
    assert not list(tmp_path.glob("second/*.png"))


def test_a_callback_that_is_used_twice_begins_anew(tmp_path: Path) -> None:
    curves = TrainingCurves()
    trainer_with(tmp_path / "a", curves).fit(Toy(), LOADER, LOADER)
    trainer_with(tmp_path / "b", curves, max_epochs=1).fit(Toy(), LOADER, LOADER)
    assert len(table(tmp_path / "b")) == 1


def test_a_trial_run_writes_nothing(tmp_path: Path) -> None:
    trainer_with(tmp_path, TrainingCurves(), fast_dev_run=True).fit(Toy(), LOADER, LOADER)
    assert not list(tmp_path.iterdir())


def test_what_is_drawn() -> None:
    rows = {0: {"train/loss": 1.0, "val/loss": float("nan")}, 1: {"train/loss": 0.5, "val/loss": 0.7}}
    figure = draw_curves(rows, PANELS, BestEpoch(1, "epoch 1"))
    assert figure is not None
    (axes,) = figure.axes  # no accuracy was logged
    train, val, best = axes.get_lines()
    np.testing.assert_array_equal(train.get_xydata(), [[0, 1.0], [1, 0.5]])
    np.testing.assert_array_equal(val.get_xydata(), [[1, 0.7]])
    assert list(np.asarray(best.get_xdata())) == [1, 1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]
    assert draw_curves(rows, {"srcc": ["val/srcc"]}) is None
    assert draw_curves({}, PANELS) is None


def test_panels_of_ones_own(tmp_path: Path) -> None:
    curves = TrainingCurves("mine.png", {"zeros": ["train/sparsity"], "loss": ["train/loss"], "none": ["val/none"]})
    trainer_with(tmp_path, curves, max_epochs=2).fit(Toy(), LOADER, LOADER)
    assert (tmp_path / "mine.png").is_file()
    assert (tmp_path / "mine.csv").is_file()


def test_every_metric_of_a_panel_has_a_look_of_its_own() -> None:
    names = [*(f"{stage}/{metric}" for stage in ("train", "val", "test") for metric in "abcdef"), "lr", "momentum"]
    figure = draw_curves({0: dict.fromkeys(names, 0.5), 1: dict.fromkeys(names, 0.7)}, {"all": names})
    assert figure is not None
    lines = figure.axes[0].get_lines()
    assert len({look_of(line) for line in lines}) == len(lines) == len(names)


def test_an_empty_table() -> None:
    assert table_text({}) == "epoch\n"
