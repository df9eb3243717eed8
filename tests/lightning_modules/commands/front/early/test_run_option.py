"""A run's folder stands for its configuration and its checkpoint; an attempt that failed leaves no folder."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_a_training_that_is_done_says_so(run: Path, appraise: Command) -> None:
    assert "nothing was left to train" in appraise("fit", "--run", str(run)).err
    assert "nothing was left" not in appraise("fit", "--run", str(run), "--trainer.max_epochs", "2").err


def test_a_folder_without_a_run_is_one_sentence(run: Path, appraise: Command) -> None:
    assert "the folder is no run" in appraise("test", "--run", ".").sentence
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    assert "holds no checkpoint" in appraise("test", "--run", str(run)).sentence


def test_an_attempt_that_failed_uses_up_no_number(appraise: Command, workdir: Path) -> None:
    broken = '{"class_path": "ToyData", "init_args": {"size": 0}}'
    assert "the data module's training loader has no batch" in appraise("fit", "--config", "toy", "--data", broken).err
    assert not (workdir / "runs/toy/version_0").exists()
    assert appraise("fit", "--config", "toy").code == 0
    assert (workdir / "runs/toy/version_0/config.yaml").is_file()
