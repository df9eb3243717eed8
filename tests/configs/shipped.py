"""The shipped configurations, the commands in their first lines, and trainings as they ask for them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import cli

CONFIGS = Path(cli.__file__).parent / "configs"
# The generated data of two demos at their smallest.
SMALL_CLIPS = {
    "clips": 8,
    "clip_seconds": 0.4,
    "width": 64,
    "height": 64,
    "untrimmed": 1,
    "untrimmed_pair": 1,
    "segments": 2,
}
SMALL_PARTS = {f"{domain}_{split}": 8 for domain in ("original", "new") for split in ("train", "val", "test")}
# Pictures and network of diffusion at their smallest.
SMALL_PICTURES = [
    *(f"--data.init_args.demo.{split}={number}" for split, number in (("train", 24), ("val", 8), ("test", 8))),
    "--data.init_args.batch_size=8",
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=1",
    "--trainer.check_val_every_n_epoch=1",
]
SMALL_DIFFUSION = [
    f"--model.init_args.{option}" for option in ("channels=[8,16]", "attention_levels=[1]", "sampling_steps=2")
]


# Questions and network of the face benchmark at their smallest.
SMALL_QUESTIONS = [
    "--data.init_args.per_task=2",
    "--data.init_args.train_per_task=4",
    "--data.init_args.image_size=32",
    "--data.init_args.batch_size=4",
    *(f"--data.init_args.demo.{split}=80" for split in ("train", "val", "test")),
    "--trainer.accelerator=cpu",
]
SMALL_ANSWERER = [f"--model.init_args.tiny.{name}=16" for name in ("width", "vision_width")]


def configs_of(domain: str) -> list[Path]:
    return sorted((CONFIGS / domain).rglob("*.yaml"))


def name_of(path: Path) -> str:
    return path.relative_to(CONFIGS).with_suffix("").as_posix()


def command_words(path: Path) -> list[str]:
    """The words of the command in the file's first line, from the name of the command on."""
    return shlex.split(path.read_text().splitlines()[0].removeprefix("#"))[2:]


def config_options(path: Path) -> list[str]:
    """The ``--config`` options of that command."""
    words = command_words(path)
    return [word for at, word in enumerate(words) if word == "--config" or words[at - 1] == "--config"]


def runs(training: Sequence[Path]) -> list[Any]:
    """Every configuration, fast and real; the real runs of the ablations differ by a switch alone and take minutes."""
    cases = []
    for path, fast in product(training, (True, False)):
        marks = [pytest.mark.slow] if path.parent.name == "ablations" and not fast else []
        cases.append(pytest.param(path, fast, id=f"{name_of(path)}-{'fast_dev_run' if fast else 'real'}", marks=marks))
    return cases


def trained(folder: Path, *options: str) -> Path:
    """Best checkpoint of a training."""
    assert cli.main(["fit", *options, f"--output={folder}"]) == 0
    return next(folder.rglob("best.ckpt"))


def trained_shortly(folder: Path, *options: str) -> Path:
    """Best checkpoint of one epoch, without a test."""
    return trained(folder, *options, "--trainer.max_epochs=1", "--test_after_fit=false")


def tried(folder: Path, fast: bool, *options: str, tested: Sequence[str] | None = None) -> Path | None:
    """Best checkpoint of a training that is then tested; None after one batch of everything.

    The test that many configurations ask for at the end of a training is that of the demos in `tests/methods`.

    Args:
        folder: Where the run goes.
        fast: Run one batch alone.
        options: Of the training.
        tested: Of the test; None for the same.
    """
    untested = "--test_after_fit=false"
    if fast:
        assert cli.main(["fit", *options, "--trainer.fast_dev_run=1", untested, f"--output={folder}"]) == 0
        return None
    checkpoint = trained(folder / "run", *options, untested)
    assert (checkpoint.parents[1] / "run.json").is_file()
    asked = options if tested is None else tested
    assert cli.main(["test", *asked, f"--ckpt_path={checkpoint}", f"--output={folder / 'run'}"]) == 0
    return checkpoint
