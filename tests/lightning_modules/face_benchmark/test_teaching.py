"""A small model that is taught knows what it was taught of people whom it never saw, and nothing without pictures."""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from datamodules import FaceXBenchDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules.face_benchmark.results.outcome import Outcome, read_line
from tests.datamodules.face_benchmark.text_only import guessed

pytestmark = pytest.mark.slow

TAUGHT = ["gender", "crowd_counting"]
OTHERS = ["hr_fr", "lr_fr", "attributes", "expression", "headpose", "segmentation"]
TEMPLATES = {"gender": 2, "hr_fr": 3, "lr_fr": 3, "attributes": 3, "expression": 2}  # of others one
EACH = 400  # questions of a template
ALL, ADAPTERS = "all/version_0/model", "adapters/version_0/adapters"
TUNE = ["--config", "face_benchmark/tune"]
DEMO = FaceDemoSettings(train=30_000, val=1000, test=2000)  # people of `tune`


class Share(NamedTuple):
    """Of questions that are answered rightly.

    Attributes:
        right: Of all.
        read: Of those whose answer names one of the options.
        number: Of all questions.
    """

    right: float
    read: float
    number: int

    @property
    def half(self) -> float:
        """Half of its interval of 95 %."""
        return 1.96 * math.sqrt(self.right * (1 - self.right) / self.number)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training of all weights, and of one of adapters from there."""
    folder = tmp_path_factory.mktemp("taught")
    cli.main(["fit", *TUNE, "--output", str(folder / "all")])
    adapters = ["--model.init_args.weights", str(folder / ALL), "--model.init_args.adapter_rank", "8"]
    cli.main(["fit", *TUNE, *adapters, "--trainer.max_epochs", "1", "--output", str(folder / "adapters")])
    return folder


def asked(folder: Path, model: Path, tasks: Sequence[str], kind: str, *options: str) -> dict[str, Share]:
    """Shares of right answers by template, or by task."""
    number = str(EACH * max(TEMPLATES.get(task, 1) for task in tasks))
    names = ["--data.init_args.tasks", json.dumps(tasks), "--data.init_args.per_task", number]
    weights = ["--model.init_args.weights", str(model)]
    cli.main(["test", *TUNE, *weights, *names, *options, "--output", str(folder)])
    said: dict[str, list[Outcome]] = defaultdict(list)
    for line in (folder / "answers.jsonl").read_text().splitlines():
        outcome = read_line(line)
        assert outcome is not None
        said[str(getattr(outcome, kind))].append(outcome)
    return {name: _share(own) for name, own in said.items()}


def _share(outcomes: Sequence[Outcome]) -> Share:
    right, read = (sum(map(test, outcomes)) for test in (lambda one: one.is_right, lambda one: not one.is_unparsed))
    return Share(right / len(outcomes), right / max(1, read), len(outcomes))


def without_pictures(tasks: Sequence[str], kind: str, texts: int) -> dict[str, float]:
    """Share that a scorer gets right that learnt from 5,000 texts of each kind and sees no picture."""
    data = FaceXBenchDataModule(tasks=list(tasks), per_task=3 * EACH, train_per_task=texts, demo=DEMO)
    train, test = (data.source(split).questions for split in ("train", "test"))
    found = {}
    for name in dict.fromkeys(str(getattr(question, kind)) for question in test):
        learnt, own = ([one for one in part if getattr(one, kind) == name] for part in (train, test))
        found[name] = guessed(learnt[:5000], own)
    return found


@pytest.mark.parametrize("model", [ADAPTERS, "adapters/version_0/model"])
def test_it_knows_what_it_was_taught(taught: Path, tmp_path: Path, model: str) -> None:
    found = asked(tmp_path, taught / model, TAUGHT, "template")
    assert len(found) == 3
    assert all(share.number >= EACH and share.right - share.half > 0.9 for share in found.values()), found


def test_it_knows_nothing_by_the_pictures_of_others(taught: Path, tmp_path: Path) -> None:
    found = asked(tmp_path, taught / ADAPTERS, TAUGHT, "template", "--data.init_args.pictures", "others")
    level = without_pictures(TAUGHT, "template", 10_000)
    sys.stdout.write(f"pictures of others: {found}; without pictures: {level}\n")
    assert all(abs(share.right - level[name]) < 0.05 for name, share in found.items()), (found, level)


def test_it_knows_nothing_of_other_tasks(taught: Path, tmp_path: Path) -> None:
    """Answers that name an option are right as often as without pictures; others name a number or a gender."""
    found = asked(tmp_path, taught / ADAPTERS, OTHERS, "task")
    level = without_pictures(OTHERS, "task", 5000)
    sys.stdout.write(f"other tasks: {found}; without pictures: {level}\n")
    assert all(abs(share.read - level[name]) < 0.05 for name, share in found.items()), (found, level)
    assert all(share.right < level[name] + 0.05 for name, share in found.items()), (found, level)
