"""Trap: a mistyped name, option or value answers with the nearest names, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_modules.commands.front.diagnosis import LONGEST, explain
from tests.running import Command

CASES = {
    "model": (["--model", "ToyModl"], 'model: there is no class "ToyModl": did you mean ToyModel'),
    "public model": (["--model", "KSVEQ"], "did you mean KSVQE?"),
    "data": (["--data", "ToyDta"], 'data: there is no class "ToyDta": did you mean ToyData'),
    "public data": (["--data", "VideoQualityDataModul"], "did you mean VideoQualityDataModule?"),
    "callback": (["--trainer.callbacks+", "ScoreScater"], "did you mean ScoreScatter"),
    "lightning's callback": (["--trainer.callbacks+=EarlyStoping"], "did you mean EarlyStopping"),
    "logger": (["--trainer.logger", "CVSLogger"], "did you mean CSVLogger"),
    "optimiser": (["--model.optimizer", "AdmaW"], 'model.optimizer: there is no class "AdmaW": did you mean AdamW'),
    "optimiser's argument": (["--model.optimizer=SGD", "--model.optimizer.lrr=3"], 'SGD has no argument "lrr"'),
    "dotted class": (["--model", "lightning_modules.KSVEQ"], 'there is no class "KSVEQ": did you mean KSVQE?'),
    "module": (["--model", "absent_package.Model"], 'there is no module "absent_package"'),
    "model's argument": (["--model.init_args.widht", "3"], 'ToyModel has no argument "widht": did you mean width'),
    "short form": (["--model.widht", "3"], 'ToyModel has no argument "widht": did you mean width'),
    "data's argument": (["--data.init_args.batchsize", "3"], "did you mean batch_size"),
    "option": (["--trainer.max_epoch", "3"], "unknown option --trainer.max_epoch: did you mean --trainer.max_epochs"),
    "own option": (["--outptu", "x"], "did you mean --output"),
    "argument's value": (["--model.width", "wide"], "model.width: expected int, got wide"),
    "trainer's value": (["--trainer.max_epochs", "abc"], "trainer.max_epochs: expected int or null, got abc"),
    "accelerator": (["--trainer.accelerator", "gpuu"], "accelerator='gpuu'"),
    "class without its argument": (["--trainer.logger", "CSVLogger"], "needs --trainer.logger.init_args.save_dir"),
    "class without its package": (["--trainer.logger", "CometLogger"], "CometLogger needs the package comet-ml"),
    "lonely value": (["toy"], '"toy" stands alone'),
    "absent part": (["--trainer", "absent.yaml"], "trainer: there is no file absent.yaml"),
    "help of a class": (["--model.help", "ToyModl"], 'model: there is no class "ToyModl": did you mean ToyModel'),
    "best checkpoint": (["--ckpt_path", "best"], "known only while a run lasts"),
    "checkpoint": (["--ckpt_path", "absent.ckpt"], "there is no checkpoint absent.ckpt"),
}


@pytest.mark.parametrize("case", CASES)
def test_mistyped(case: str, appraise: Command, workdir: Path) -> None:
    arguments, expected = CASES[case]
    done = appraise("fit", "--config", "toy", *arguments)
    assert done.code == 2
    assert expected in done.sentence
    assert done.out == ""
    assert not list(workdir.rglob("version_*"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: {class_path: ToyModl}", "did you mean ToyModel"),
        (
            "model: {class_path: ToyModel, init_args: {dpeth: 1}}",
            'ToyModel has no argument "dpeth": did you mean depth',
        ),
        ("model: {class_path: ToyModel, depth: 1}", "beside class_path stands only init_args"),
        ("traner: {max_epochs: 1}", "traner, which is no option: did you mean trainer"),
        ("trainer: {max_epoch: 1}", "trainer.max_epoch, which is no option: did you mean trainer.max_epochs"),
        ("trainer: {max_epochs: abc}", "trainer.max_epochs: expected int or null, got abc"),
        ("", "more.yaml is empty or no mapping"),
        ("- a\n- b", "more.yaml is empty or no mapping"),
        ("trainer: {callbacks: [{class_path: callbacks.ScoreScater}]}", "did you mean ScoreScatter"),
        ("trainer: {callbacks: [{class_path: EarlyStopping, init_args: {monitr: a}}]}", "did you mean monitor"),
    ],
)
def test_mistyped_in_a_file(text: str, expected: str, appraise: Command, workdir: Path) -> None:
    (workdir / "more.yaml").write_text(text, encoding="utf-8")
    done = appraise("fit", "--config", "toy", "--config", "more")
    assert done.code == 2
    assert expected in done.sentence


def test_arguments_without_a_class(appraise: Command, workdir: Path) -> None:
    (workdir / "more.yaml").write_text("model: {init_args: {width: 3}}\ndata: ToyData", encoding="utf-8")
    assert "model: width is set, but no class is named" in appraise("fit", "--config", "more").sentence


def test_a_module_of_ones_own(appraise: Command, workdir: Path) -> None:
    words = ["fit", "--config", "toy", "--model", "my_methd.Model"]
    assert "nor any .py file in the current folder" in appraise(*words).sentence
    (workdir / "my_method.py").touch()
    assert "did you mean my_method?" in appraise(*words).sentence


def test_missing_parts_come_with_a_command_that_works(appraise: Command) -> None:
    assert "fit needs --model and --data or --config FILE" in appraise("fit").sentence
    assert "fit needs --data or" in appraise("fit", "--model", "ToyModel").sentence


def test_a_message_of_unknown_form_is_shortened() -> None:
    sentence = explain("strange\n  words " * 100, "fit", [], [])
    assert "\n" not in sentence
    assert sentence.startswith("strange words")
    assert len(sentence) < LONGEST + 60
