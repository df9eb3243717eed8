"""A run's folder stands for its configuration and its checkpoint; an attempt that failed leaves no folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lightning_modules.commands.front.early.any_command import checked_words
from lightning_modules.commands.front.early.run_option import checkpoint_for_run, newest_state
from lightning_modules.commands.front.errors import CommandLineError
from tests.running import Command


@pytest.fixture
def run(checkpoint: Path) -> Path:
    """A run's folder with best.ckpt and last.ckpt."""
    for name in ("best", "last"):
        (checkpoint.parent / f"{name}.ckpt").write_bytes(checkpoint.read_bytes())
    checkpoint.unlink()
    return checkpoint.parent.parent


@pytest.mark.parametrize("given", ["runs/toy/version_0", "runs/toy", "runs/toy/version_0/checkpoints/best.ckpt"])
def test_a_run_is_measured_as_it_was_trained(given: str, run: Path, appraise: Command) -> None:
    done = appraise("test", "--run", given)
    assert done.code == 0, done.err
    assert done.out == "test/srcc 0.83\n"
    assert (run / "test/run.json").is_file()
    assert "best.ckpt" in done.err


def test_the_user_overrules_the_run(run: Path, appraise: Command, workdir: Path) -> None:
    done = appraise("validate", f"--run={run}", "--ckpt_path", "last", "--output", "elsewhere")
    assert done.code == 0, done.err
    assert "last.ckpt" in done.err
    assert (workdir / "elsewhere/run.json").is_file()


def test_a_training_goes_on(run: Path, appraise: Command, workdir: Path) -> None:
    done = appraise("fit", "--run", str(run), "--trainer.max_epochs", "2")
    assert done.code == 0, done.err
    assert (workdir / "runs/toy/version_1/checkpoints").is_dir()


def test_a_training_that_is_done_says_so_and_leaves_no_folder(run: Path, appraise: Command) -> None:
    saver = '{"class_path": "callbacks.BestAndLast", "init_args": {"monitor": "val/srcc"}}'
    assert appraise("fit", "--config", "toy", f"--trainer.callbacks+={saver}", "--output", "mine").code == 0
    done = appraise("fit", "--run", "mine", "--test_after_fit", "true")
    assert "this run is finished" in done.err
    assert "--trainer.max_epochs 2" in done.err
    assert done.out.splitlines()[0] == "checkpoint mine/version_0/checkpoints/best.ckpt"
    assert done.out.splitlines()[1] == "next: appraise test --run mine/version_0"
    assert [path.name for path in Path("mine").iterdir()] == ["version_0"]
    longer = appraise("fit", "--run", "mine", "--trainer.max_epochs", "2")
    assert "this run is finished" not in longer.err
    assert "epoch 0/" not in longer.err  # it went on


def test_a_resumed_run_without_an_epoch_of_its_own_goes_on_from_where_it_began(run: Path, tmp_path: Path) -> None:
    later = tmp_path / "runs/toy/version_1"
    (later / "checkpoints").mkdir(parents=True)
    last = run / "checkpoints/last.ckpt"
    shutil.copy2(run / "checkpoints/best.ckpt", later / "checkpoints/best.ckpt")  # what a resumed run begins with
    os.utime(last)
    (later / "config.yaml").write_text(f"ckpt_path: {last}\n")
    assert newest_state(later) == last
    (later / "checkpoints/best.ckpt").touch()  # a better one since
    assert newest_state(later) == later / "checkpoints/best.ckpt"


def test_export_takes_the_checkpoint_of_a_run(run: Path) -> None:
    best = f"--ckpt_path={run}/checkpoints/best.ckpt"
    assert checked_words("export", ["--run", str(run), "--output", "x"]) == [best, "--output", "x"]
    last = checked_words("export", [f"--run={run.parent}", "--ckpt_path", "last", "--output", "x"])
    assert last[0] == best.replace("best.ckpt", "last.ckpt")
    with pytest.raises(CommandLineError, match="both name a checkpoint"):
        checkpoint_for_run(["--run", str(run), "--ckpt_path", str(run / "checkpoints/best.ckpt")])


def test_a_folder_without_a_run_is_one_sentence(run: Path, appraise: Command) -> None:
    assert "the folder is no run" in appraise("test", "--run", ".").sentence
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    assert "holds no checkpoint" in appraise("test", "--run", str(run)).sentence


def test_an_attempt_that_failed_uses_up_no_number(appraise: Command, workdir: Path) -> None:
    broken = '{"class_path": "ToyData", "init_args": {"size": 0}}'
    assert "the data module's training loader has no batch" in appraise("fit", "--config", "toy", "--data", broken).err
    assert not (workdir / "runs").exists()  # nor a folder above it
    assert appraise("fit", "--config", "toy").code == 0
    assert (workdir / "runs/toy/version_0/config.yaml").is_file()
