"""Trap: a fact of the data reaches the model, and a model value that contradicts it is an error that names both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_modules.commands.front.links import LINKED

Command = Callable[..., Any]


def hyper_parameters(workdir: Path, run: str = "runs/toy/version_0") -> Any:
    return yaml.safe_load((workdir / run / "hparams.yaml").read_text(encoding="utf-8"))


def test_the_data_tells_the_model(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--data.num_classes", "7", "--trainer.logger", "true").code == 0
    assert hyper_parameters(workdir)["num_classes"] == 7


@pytest.mark.parametrize("stated", [["--model.init_args.num_classes", "3"], ["--model.num_classes=3"]])
def test_a_contradiction_names_both(stated: list[str], appraise: Command, workdir: Path) -> None:
    done = appraise("fit", "--config", "toy", *stated)
    assert done.code == 2
    assert "num_classes = 3" in done.sentence
    assert "ToyData.num_classes = 5" in done.sentence
    assert not list(workdir.rglob("version_*")), "a run that did not begin leaves no folder"


def test_a_contradiction_in_a_file(appraise: Command, workdir: Path) -> None:
    (workdir / "more.yaml").write_text("model: {init_args: {num_classes: 3}}", encoding="utf-8")
    assert "num_classes = 3" in appraise("fit", "--config", "toy", "--config", "more").sentence


def test_agreement_is_fine(appraise: Command) -> None:
    assert appraise("fit", "--config", "toy", "--model.num_classes", "5", "--trainer.fast_dev_run", "true").code == 0


def test_data_that_knows_nothing_leaves_the_model_alone(appraise: Command, workdir: Path) -> None:
    arguments = ["--data.num_classes", "null", "--model.num_classes", "3", "--trainer.logger", "true"]
    assert appraise("fit", "--config", "toy", *arguments).code == 0
    assert hyper_parameters(workdir)["num_classes"] == 3


def test_a_model_without_the_argument_is_left_alone(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--model", "OtherModel", "--trainer.logger", "true").code == 0
    assert not set(LINKED) & set(hyper_parameters(workdir))


def test_the_record_leaves_linked_values_to_the_data(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy").code == 0
    record = workdir / "runs/toy/version_0/config.yaml"
    assert "num_classes" not in yaml.safe_load(record.read_text(encoding="utf-8"))["model"]["init_args"]
    assert appraise("fit", "--config", str(record), "--data.num_classes", "9").code == 0
