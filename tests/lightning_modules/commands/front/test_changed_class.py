"""Trap: a class that replaces another one inherits none of its arguments, even where the names agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = """
model:
  class_path: ToyModel
  init_args:
    width: 6
    optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.5, weight_decay: 0.3}}
data: {class_path: ToyData, init_args: {batch_size: 6}}
trainer: {logger: {class_path: CSVLogger, init_args: {save_dir: here, name: a}}}
"""


@pytest.fixture
def printed(appraise: Callable[..., Any], workdir: Path) -> Callable[..., Any]:
    (workdir / "opt.yaml").write_text(CONFIG, encoding="utf-8")

    def run(*arguments: str) -> Any:
        done = appraise("fit", "--config", "opt", *arguments, "--print_config")
        assert done.code == 0, done.err
        return yaml.safe_load(done.out)

    return run


@pytest.mark.parametrize("option", ["model.optimizer", "model.init_args.optimizer", "model.optimizer.class_path"])
def test_optimiser_on_the_command_line(option: str, printed: Callable[..., Any]) -> None:
    used = printed(f"--{option}", "SGD")["model"]["init_args"]
    assert used["width"] == 6
    assert used["optimizer"]["class_path"] == "torch.optim.SGD"
    assert (used["optimizer"]["init_args"]["lr"], used["optimizer"]["init_args"]["weight_decay"]) == (0.001, 0.0)


def test_optimiser_with_its_own_arguments(printed: Callable[..., Any]) -> None:
    used = printed("--model.optimizer", "SGD", "--model.optimizer.lr", "0.1")["model"]["init_args"]["optimizer"]
    assert (used["init_args"]["lr"], used["init_args"]["weight_decay"]) == (0.1, 0.0)


def test_optimiser_in_a_second_file(printed: Callable[..., Any], workdir: Path) -> None:
    text = "model: {init_args: {optimizer: {class_path: SGD, init_args: {lr: 0.1}}}}"
    (workdir / "second.yaml").write_text(text, encoding="utf-8")
    used = printed("--config", "second")["model"]["init_args"]["optimizer"]
    assert used["class_path"] == "torch.optim.SGD"
    assert (used["init_args"]["lr"], used["init_args"]["weight_decay"]) == (0.1, 0.0)


def test_the_same_optimiser_keeps_its_arguments(printed: Callable[..., Any]) -> None:
    used = printed("--model.optimizer", "AdamW", "--model.optimizer.lr", "0.1")["model"]["init_args"]["optimizer"]
    assert (used["init_args"]["lr"], used["init_args"]["weight_decay"]) == (0.1, 0.3)


def test_model_and_data(printed: Callable[..., Any]) -> None:
    used = printed("--model", "OtherModel", "--data", "OtherData")
    assert used["model"]["init_args"] == {"width": 7, "bias": True}
    assert used["data"]["init_args"] == {"batch_size": 3}


def test_model_in_a_second_file(printed: Callable[..., Any], workdir: Path) -> None:
    (workdir / "second.yaml").write_text("model: {class_path: toy_parts.OtherModel}", encoding="utf-8")
    assert printed("--config", "second")["model"]["init_args"] == {"width": 7, "bias": True}


def test_logger(printed: Callable[..., Any]) -> None:
    used = printed("--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "there")["trainer"]["logger"]
    assert (used["init_args"]["save_dir"], used["init_args"]["name"]) == ("there", "lightning_logs")
