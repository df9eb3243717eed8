"""A small model that is taught knows what it was taught of people whom it never saw, and nothing without pictures."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from datamodules import FaceXBenchDataModule
from datamodules.face_benchmark.batch import Question
from datamodules.faces.renderer.settings import FaceDemoSettings
from tests.datamodules.face_benchmark.text_only import guessed

pytestmark = pytest.mark.slow

TAUGHT = ["gender", "crowd_counting"]
OTHERS = ["hr_fr", "lr_fr", "attributes", "expression", "headpose", "segmentation"]
TEMPLATES = {"gender": 2, "hr_fr": 3, "lr_fr": 3, "attributes": 3, "expression": 2}  # of others one
EACH = 400  # questions of a template
ALL = "all/version_0/model"
TUNE = ["--config", "face_benchmark/tune"]
DEMO = FaceDemoSettings(train=8000, val=1000, test=2000)  # people of `tune`


class Share(NamedTuple):
    """Of questions that are answered rightly, and how many there are."""

    right: float
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
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "400"]
    cli.main(["fit", *TUNE, *adapters, *short, "--output", str(folder / "adapters")])
    return folder


def asked(folder: Path, model: Path, tasks: Sequence[str], kind: str, *options: str) -> dict[str, Share]:
    """Shares of right answers by template, or by task."""
    number = str(EACH * max(TEMPLATES.get(task, 1) for task in tasks))
    names = ["--data.init_args.tasks", json.dumps(tasks), "--data.init_args.per_task", number]
    weights = ["--model.init_args.weights", str(model)]
    cli.main(["test", *TUNE, *weights, *names, *options, "--output", str(folder)])
    right: dict[str, list[bool]] = defaultdict(list)
    for line in (folder / "answers.jsonl").read_text().splitlines():
        answer = json.loads(line)
        right[answer[kind]].append(answer["strict"] == answer["right"])
    return {name: Share(sum(own) / len(own), len(own)) for name, own in right.items()}


def without_pictures(tasks: Sequence[str], kind: Callable[[Question], str]) -> dict[str, float]:
    """Share that a scorer gets right that learnt from 5,000 texts of each kind and sees no picture."""
    train, test = (
        FaceXBenchDataModule(tasks=list(tasks), per_task=EACH * 3, train_per_task=15_000, demo=DEMO).source(split)
        for split in ("train", "test")
    )
    found = {}
    for name in Counter(map(kind, test.questions)):
        learnt, own = ([one for one in source.questions if kind(one) == name] for source in (train, test))
        found[name] = guessed(learnt[:5000], own)
    return found


@pytest.mark.parametrize("model", [ALL, "adapters/version_0/model", "adapters/version_0/adapters"])
def test_it_knows_what_it_was_taught(taught: Path, tmp_path: Path, model: str) -> None:
    found = asked(tmp_path, taught / model, TAUGHT, "template")
    assert len(found) == 3
    assert all(share.number >= EACH and share.right - share.half > 0.9 for share in found.values()), found


def test_it_knows_nothing_by_the_pictures_of_others(taught: Path, tmp_path: Path) -> None:
    found = asked(tmp_path, taught / ALL, TAUGHT, "template", "--data.init_args.pictures", "others")
    level = without_pictures(TAUGHT, lambda question: question.template)
    assert all(abs(share.right - level[name]) < share.half + 0.02 for name, share in found.items()), (found, level)


def test_it_knows_nothing_of_other_tasks(taught: Path, tmp_path: Path) -> None:
    found = asked(tmp_path, taught / ALL, OTHERS, "task")
    level = without_pictures(OTHERS, lambda question: question.task)
    assert all(abs(share.right - level[name]) < 0.05 for name, share in found.items()), (found, level)
