"""After a training, the model holds the weights of its best checkpoint."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.restore_best_weights import RestoreBestWeights
from datamodules.common.errors import CheckpointError, ConfigurationError
from tests.running import quiet_trainer

LOSSES = [3.0, 1.0, 2.0, 4.0]


class Toy(L.LightningModule):
    """Its weight is the number of epochs that were trained; its loss is prescribed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.loaded = 0

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return -self.weight

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", LOSSES[self.current_epoch], batch_size=1)
        self.log("val/accuracy", -LOSSES[-1 - self.current_epoch], batch_size=1)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/weight", self.weight.detach(), batch_size=1)

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        self.loaded += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


LOADER = DataLoader(TensorDataset(torch.ones(1, 1)))


def trainer_with(folder: Path, *callbacks: Callback, **options: object) -> L.Trainer:
    settings = {"max_epochs": len(LOSSES), "num_sanity_val_steps": 0, "enable_checkpointing": True, **options}
    return quiet_trainer(folder, *callbacks, **settings)


def saver(monitor: str = "val/loss", mode: str = "min") -> ModelCheckpoint:
    return ModelCheckpoint(monitor=monitor, mode=mode, filename=monitor[4:], auto_insert_metric_name=False)


def weight_of(module: Toy) -> float:
    return float(module.weight.detach())


def test_the_test_and_a_save_after_training_use_the_best(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    module = Toy()
    newest = ModelCheckpoint(filename="newest")
    trainer = trainer_with(tmp_path, RestoreBestWeights(), newest, saver())
    trainer.fit(module, LOADER, LOADER)
    assert weight_of(module) == 2  # after epoch 1, with a loss of 1
    assert module.loaded == 1
    assert trainer.test(module, LOADER, verbose=False) == [{"test/weight": 2.0}]
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    assert float(torch.load(tmp_path / "saved.ckpt", weights_only=True)["state_dict"]["weight"]) == 2
    last = torch.load(newest.best_model_path, weights_only=True)
    assert float(last["state_dict"]["weight"]) == 4  # to go on from
    assert "epoch 1 (val/loss 1)" in caplog.text


def test_the_named_metric_decides(tmp_path: Path) -> None:
    module = Toy()
    named = RestoreBestWeights(monitor="val/accuracy")
    trainer_with(tmp_path, named, saver(), saver("val/accuracy", "max")).fit(module, LOADER, LOADER)
    assert weight_of(module) == 3  # accuracy is -1 after epoch 2


def test_without_a_monitored_metric(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a metric, but nothing is monitored"):
        trainer_with(tmp_path, RestoreBestWeights(), ModelCheckpoint()).fit(Toy(), LOADER, LOADER)
    with pytest.raises(ConfigurationError, match="val/f1, but val/loss is monitored"):
        trainer_with(tmp_path, RestoreBestWeights("val/f1"), saver()).fit(Toy(), LOADER, LOADER)


def test_nothing_saved_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = Toy()
    trainer_with(tmp_path, RestoreBestWeights(), saver(), limit_val_batches=0).fit(module, LOADER, LOADER)
    assert weight_of(module) == 4
    assert "No best weights to restore" in caplog.text


def test_a_trial_run_has_no_checkpoints(tmp_path: Path) -> None:
    trainer_with(tmp_path, RestoreBestWeights(), saver(), fast_dev_run=True).fit(Toy(), LOADER, LOADER)


class Vandal(Callback):
    """Breaks the best checkpoint at the end of the training."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        path = Path(trainer.checkpoint_callback.best_model_path)  # type: ignore[union-attr]  # there is one
        path.unlink() if self.content is None else path.write_bytes(self.content)


def saved(content: object) -> bytes:
    """The bytes of a file of torch."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not there"), (b"\x80\x04nothing", "cannot be read"), (saved({"epoch": 1}), "holds no state_dict")],
    ids=["gone", "broken", "other"],
)
def test_a_checkpoint_that_is_gone_or_broken(content: bytes | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=words):
        trainer_with(tmp_path, RestoreBestWeights(), Vandal(content), saver()).fit(Toy(), LOADER, LOADER)
