"""A method of somebody's own: at most 30 lines in a package, and one line that registers it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import lightning_modules
from datamodules.common.lazy_names import PublicName
from tests.running import Command

METHOD = '''
"""Mean of the numbers, learnt: the smallest method."""

from torch import Tensor, nn

from datamodules.common.settings import argument, settings, takes
from lightning_modules.base import Method, MethodSettings


@settings
class MeanSettings(MethodSettings):
    """Arguments of `LearntMean`."""

    hidden: int = argument(default=4, help="Hidden units.", low=1)


class LearntMean(Method):
    """Learns the mean of each row."""

    @takes(MeanSettings)
    def __init__(self, settings: MeanSettings) -> None:
        super().__init__(*settings.optimisation)
        self.keep(settings)
        self.network = nn.Sequential(nn.Linear(3, settings.hidden), nn.Linear(settings.hidden, 1))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return (self.network(batch[0])[:, 0] - batch[0].mean(1)).square().mean()

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        return {"score_raw": self.network(batch[0])[:, 0]}
'''


@pytest.fixture
def own_method(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = workdir / "own_method"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "module.py").write_text(METHOD.lstrip())
    monkeypatch.syspath_prepend(str(workdir))
    monkeypatch.setitem(lightning_modules.PUBLIC, "LearntMean", PublicName("own_method.module", "mean, learnt"))
    yield
    sys.modules.pop("own_method.module", None)


@pytest.mark.usefixtures("own_method")
def test_a_method_is_thirty_lines_and_one_that_registers_it(appraise: Command, workdir: Path) -> None:
    assert len(METHOD.strip().splitlines()) <= 30
    assert "LearntMean" in appraise("list", "methods").out
    help_of_it = appraise("fit", "--model.help", "LearntMean").out
    assert "Hidden units." in help_of_it
    assert "--model.warmup_epochs" in help_of_it.replace("init_args.", "")
    words = ["--model", "LearntMean", "--data", "ToyData", "--trainer.logger", "false", "--trainer.accelerator", "cpu"]
    trained = appraise("fit", *words, "--model.hidden", "5", "--trainer.max_epochs", "1", "--output", "runs/own")
    assert trained.code == 0, trained.err
    checkpoint = next(workdir.rglob("*.ckpt"))
    saved = torch.load(checkpoint, weights_only=True)["hyper_parameters"]
    assert saved["hidden"] == 5
    again = appraise("predict", "--data", "ToyData", "--ckpt_path", str(checkpoint), "--output", "made")
    assert again.code == 0, again.err


@pytest.mark.usefixtures("own_method")
def test_its_values_out_of_range_are_one_sentence(appraise: Command) -> None:
    refused = appraise("fit", "--model", "LearntMean", "--data", "ToyData", "--model.hidden", "0")
    assert refused.code != 0
    assert "hidden is 0, but must be at least 1" in refused.sentence
