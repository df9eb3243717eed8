"""Trap: configurations are found by path or by name, from any folder, and the file that was taken is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lightning_modules.commands.front.config_files import (
    ConfigFile,
    config_folder,
    config_names,
    find_config,
    resolve_config_options,
    run_name,
)
from lightning_modules.commands.front.errors import CommandLineError
from tests.running import Command


@pytest.mark.parametrize("name", ["video_quality/demo", "video_quality/demo.yaml", "configs/video_quality/demo.yaml"])
def test_shipped_configuration_from_any_folder(name: str, appraise: Command, workdir: Path) -> None:
    done = appraise("fit", "--config", name, "--print_config=skip_default")
    assert done.code == 0, done.err
    assert done.err.startswith(f"config {name}: ")
    assert "(shipped)" in done.err
    assert yaml.safe_load(done.out)["model"]["class_path"] == "lightning_modules.KSVQE"


def test_a_path_comes_before_a_shipped_name(workdir: Path, toy: object) -> None:
    assert find_config("video_quality/demo").path == config_folder() / "video_quality/demo.yaml"
    own = workdir / "video_quality" / "demo.yaml"
    own.parent.mkdir()
    own.write_text("seed_everything: 1", encoding="utf-8")
    found = find_config("video_quality/demo")
    assert found.path == own
    assert not found.packaged


def test_unknown_name_answers_with_the_nearest(appraise: Command) -> None:
    done = appraise("fit", "--config", "video_quality/dmo")
    assert done.code == 2
    assert 'no configuration "video_quality/dmo"' in done.sentence
    assert "did you mean video_quality/demo" in done.sentence


def test_a_file_named_inside_another_is_relative_to_it(appraise: Command, workdir: Path) -> None:
    (workdir / "a" / "parts").mkdir(parents=True)
    (workdir / "a" / "parts" / "trainer.yaml").write_text("max_epochs: 7", encoding="utf-8")
    text = "model: ToyModel\ndata: ToyData\ntrainer: parts/trainer.yaml\n"
    text += "trainer.log_every_n_steps: 3\ntrainer.callbacks+: [TQDMProgressBar]\n"
    (workdir / "a" / "run.yaml").write_text(text, encoding="utf-8")
    done = appraise("fit", "--config", "a/run", "--print_config=skip_default")
    trainer = yaml.safe_load(done.out)["trainer"]
    assert (trainer["max_epochs"], trainer["log_every_n_steps"], len(trainer["callbacks"])) == (7, 3, 1)


def test_shipped_parts_by_name(appraise: Command) -> None:
    done = appraise(
        "fit", "--config", "toy", "--trainer", "_parts/trainer/ddp_cpu", "--trainer.logger=_parts/logger/wandb",
        "--print_config=skip_default",
    )  # fmt: skip
    trainer = yaml.safe_load(done.out)["trainer"]
    assert (trainer["devices"], trainer["strategy"], trainer["max_epochs"]) == (2, "ddp", 1)
    assert [logger["class_path"].rpartition(".")[2] for logger in trainer["logger"]] == ["CSVLogger", "WandbLogger"]


@pytest.mark.parametrize("name", [name for name in config_names(parts=True) if name.startswith("_parts/")])
def test_every_part_parses(name: str, appraise: Command) -> None:
    option = "--trainer.logger" if "/logger/" in name else "--trainer"
    assert appraise("fit", "--config", "toy", option, name, "--print_config").code == 0


def test_options_that_name_no_file_are_left_alone() -> None:
    arguments = ["--config={model: A}", "--trainer.max_epochs", "3", "--data.path", "--config", "a: 1\n"]
    with pytest.raises(CommandLineError):
        resolve_config_options(["--config", "absent"])
    assert resolve_config_options(arguments[:3]) == (arguments[:3], [])


def test_name_of_a_run(tmp_path: Path) -> None:
    shipped, own = find_config("video_quality/demo"), ConfigFile("x", tmp_path / "x.yaml", packaged=False)
    part = find_config("_parts/trainer/cpu")
    assert run_name([shipped, own], "M") == "video_quality/demo"
    assert run_name([own, shipped], "M") == "x"
    assert run_name([part, own], "M") == "x"
    assert run_name([], "M") == "M"


def test_broken_yaml_names_file_and_line(appraise: Command, workdir: Path) -> None:
    (workdir / "bad.yaml").write_text("model:\n  class_path: ToyModel\n init_args: 3", encoding="utf-8")
    done = appraise("fit", "--config", "bad")
    assert done.code == 2
    assert "bad.yaml, line 3" in done.sentence
