"""`FaceXBenchEvaluator` as a method: what its training learns from, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules import FaceXBenchDataModule
from datamodules.common.errors import ConfigurationError
from datamodules.face_benchmark.batch import QuestionBatch
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.served import ServerSettings


@pytest.fixture(scope="module")
def batch() -> QuestionBatch:
    demo = FaceDemoSettings(train=40, val=40, test=60)
    data = FaceXBenchDataModule(per_task=4, demo=demo, image_size=32, batch_size=4, tasks=["gender"])
    return next(iter(data.train_dataloader()))


@pytest.fixture(autouse=True)
def nothing_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no trainer."""
    monkeypatch.setattr(FaceXBenchEvaluator, "log_stage", lambda *given, **named: None)


def test_words_are_taught_before_the_letter(batch: QuestionBatch) -> None:
    model = FaceXBenchEvaluator(taught="words_and_letter")
    assert isinstance(model.answerer, Network)
    asked = [one for _, one in model.asked(batch)]
    answers = [f"{one.question.right_option} ({one.question.letter})" for one in asked]
    wanted = model.answerer.loss(asked, answers)
    assert torch.equal(model.training_step(batch, 0), wanted)
    assert not torch.equal(FaceXBenchEvaluator().training_step(batch, 0), wanted)


def test_a_batch_of_padding_teaches_nothing(batch: QuestionBatch) -> None:
    model = FaceXBenchEvaluator()
    padding = QuestionBatch(**{**batch, "valid": torch.zeros(4, dtype=torch.bool)})
    loss = model.training_step(padding, 0)
    assert float(loss) == 0
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert not any(one is not None and one.any() for one in gradients)
    assert any(one is not None for one in gradients)  # so that other processes do not wait in vain


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weights": "a", "script": "oracle"}, "weights and script each name who is asked"),
        ({"server": ServerSettings(model="m"), "scoring": "likelihood"}, "a server does not tell that of every letter"),
        ({"taught": "words_and_letter", "scoring": "likelihood"}, "compares letters as the first of an answer"),
        ({"server": ServerSettings(model="m"), "min_pixels": 9}, "a server is sent pictures as they are"),
        ({"min_pixels": 9, "max_pixels": 4}, "min_pixels is 9, more than max_pixels 4"),
    ],
)
def test_what_cannot_be_together_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        FaceXBenchEvaluator(**options)


def test_sizes_of_the_small_model_do_not_matter_beside_weights() -> None:
    assert FaceXBenchEvaluator(script="oracle", tiny={"width": 8}).config.script == "oracle"
