"""Traps of values: classes inherit none, ${...} follows all changes, and facts of the data contradict no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_modules.commands.front.links import LINKED
from tests.running import Command

# A class that replaces another one inherits none of its arguments, even where the names agree.
OPTIMISER = """
model:
  class_path: ToyModel
  init_args:
    width: 6
    optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.5, weight_decay: 0.3}}
data: {class_path: ToyData, init_args: {batch_size: 6}}
trainer: {logger: {class_path: CSVLogger, init_args: {save_dir: here, name: a}}}
"""


@pytest.fixture
def printed(appraise: Command, workdir: Path) -> Command:
    (workdir / "opt.yaml").write_text(OPTIMISER, encoding="utf-8")

    def run(*arguments: str) -> Any:
        done = appraise("fit", "--config", "opt", *arguments, "--print_config")
        assert done.code == 0, done.err
        return yaml.safe_load(done.out)

    return run


@pytest.mark.parametrize(
    ("arguments", "name", "rate", "decay"),
    [
        (["--model.optimizer", "SGD"], "SGD", 0.001, 0.0),
        (["--model.init_args.optimizer", "SGD"], "SGD", 0.001, 0.0),
        (["--model.optimizer.class_path", "SGD"], "SGD", 0.001, 0.0),
        (["--model.optimizer", "SGD", "--model.optimizer.lr", "0.1"], "SGD", 0.1, 0.0),
        (["--config", "second"], "SGD", 0.1, 0.0),
        (["--model.optimizer", "AdamW", "--model.optimizer.lr", "0.1"], "AdamW", 0.1, 0.3),  # the same keeps its own
    ],
)
def test_optimiser(arguments: list[str], name: str, rate: float, decay: float, printed: Command, workdir: Path) -> None:
    text = "model: {init_args: {optimizer: {class_path: SGD, init_args: {lr: 0.1}}}}"
    (workdir / "second.yaml").write_text(text, encoding="utf-8")
    used = printed(*arguments)["model"]["init_args"]
    assert used["width"] == 6
    assert used["optimizer"]["class_path"] == f"torch.optim.{name}"
    assert (used["optimizer"]["init_args"]["lr"], used["optimizer"]["init_args"]["weight_decay"]) == (rate, decay)


def test_model_and_data(printed: Command) -> None:
    used = printed("--model", "OtherModel", "--data", "OtherData")
    assert used["model"]["init_args"] == {"width": 7, "bias": True}
    assert used["data"]["init_args"] == {"batch_size": 3}


def test_model_in_a_second_file(printed: Command, workdir: Path) -> None:
    (workdir / "second.yaml").write_text("model: {class_path: toy_parts.OtherModel}", encoding="utf-8")
    assert printed("--config", "second")["model"]["init_args"] == {"width": 7, "bias": True}


def test_logger(printed: Command) -> None:
    used = printed("--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "there")["trainer"]["logger"]
    assert (used["init_args"]["save_dir"], used["init_args"]["name"]) == ("there", "lightning_logs")


# ${...} follows what the command line and later files change, and needs no subcommand's name.
REFERENCE = """
model: {class_path: ToyModel, init_args: {width: "${data.init_args.batch_size}"}}
data: {class_path: ToyData, init_args: {batch_size: 6}}
"""
SECOND = "model: {init_args: {depth: '${data.init_args.batch_size}'}}"


@pytest.fixture
def configs(workdir: Path) -> None:
    (workdir / "one.yaml").write_text(REFERENCE, encoding="utf-8")
    (workdir / "two.yaml").write_text(SECOND, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--config", "one"], {"width": 6, "depth": 1}),
        (["--config", "one", "--data.init_args.batch_size", "9"], {"width": 9, "depth": 1}),
        (["--config", "one", "--config", "two"], {"width": 6, "depth": 6}),
        (["--config", "one", "--config", "two", "--data.init_args.batch_size=4"], {"width": 4, "depth": 4}),
    ],
    ids=["plain", "command line", "two files", "both"],
)
def test_interpolation(arguments: list[str], expected: dict[str, int], appraise: Command, configs: None) -> None:
    done = appraise("fit", *arguments, "--print_config")
    assert done.code == 0, done.err
    used = yaml.safe_load(done.out)["model"]["init_args"]
    assert {name: used[name] for name in expected} == expected


def test_the_run_uses_what_is_printed(appraise: Command, configs: None, workdir: Path) -> None:
    assert appraise("fit", "--config", "one", "--data.init_args.batch_size", "9", "--trainer.max_epochs=1").code == 0
    saved = yaml.safe_load((workdir / "runs/one/version_0/config.yaml").read_text(encoding="utf-8"))
    assert saved["model"]["init_args"]["width"] == 9
    hparams = yaml.safe_load((workdir / "runs/one/version_0/hparams.yaml").read_text(encoding="utf-8"))
    assert hparams["width"] == 9


def test_an_unknown_reference_is_named(appraise: Command, configs: None, workdir: Path) -> None:
    (workdir / "three.yaml").write_text(SECOND.replace("batch_size", "absent"), encoding="utf-8")
    done = appraise("fit", "--config", "one", "--config", "three")
    assert done.code == 2
    assert "model.init_args.depth" in done.sentence
    assert "data.init_args.absent" in done.sentence


# A fact of the data reaches the model, and a model value that contradicts it is an error that names both.
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


def test_a_path_at_home_in_an_option_and_in_a_file(
    printed: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(workdir / "me"))
    (workdir / "opt.yaml").write_text(OPTIMISER.replace("save_dir: here", "save_dir: ~/here"), encoding="utf-8")
    done = printed("--output=~/run")
    assert done["output"] == str(workdir / "me" / "run")
    assert done["trainer"]["logger"]["init_args"]["save_dir"] == str(workdir / "me" / "here")


def test_one_callback_need_be_no_list(appraise: Command) -> None:
    words = ["--trainer.callbacks", "callbacks.TrainingCurves", "--trainer.fast_dev_run", "true"]
    assert appraise("fit", "--config", "toy", *words).code == 0
