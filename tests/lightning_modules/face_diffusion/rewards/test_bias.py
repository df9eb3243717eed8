"""Rewards of shares: closed forms of a round, from counts alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_diffusion.rewards.bias import ShareReward
from lightning_modules.face_diffusion.rewards.contract import Scored
from lightning_modules.face_diffusion.rewards.judges import FunctionJudge


def said(pictures: Tensor) -> Tensor:
    """What a judge says stands in the pictures."""
    return pictures


def reward(classes: list[str], names: list[str] | None = None, **options: Any) -> ShareReward:
    made = ShareReward(FunctionJudge(f"{__name__}.said", names or classes), classes, **options)
    made.load()
    return made


def settled(one: ShareReward, probabilities: Tensor) -> Tensor:
    return one.settle(one.score(probabilities))


def test_the_deck_s_exponents_only_choose() -> None:
    share = reward(["glasses"], target=0.4)
    shown = torch.tensor([1.0, 1.0, 1.0, 0.0])
    wanted, current = 0.4, 0.75
    deck = [wanted + (wanted - current) ** y + (current - wanted) ** (1 - y) for y in shown.tolist()]
    torch.testing.assert_close(settled(share, shown[:, None]), torch.tensor(deck))


def test_exact_rounds_contract_to_parity_as_derived() -> None:
    share, found = 0.7, []
    one = reward(["glasses"])
    for _ in range(7):
        found.append(round(share, 4))
        number = 1_000_000
        right = round(share * number)
        shown = torch.cat([torch.ones(right, 1), torch.zeros(number - right, 1)])
        rewards = settled(one, shown).double()
        share = float(rewards[:right].sum() / rewards.sum())
    assert found == [0.7, 0.6408, 0.5964, 0.5651, 0.5437, 0.5292, 0.5195]


def test_two_classes_are_one_attribute_and_a_ratio_is_there_at_once() -> None:
    shown = torch.tensor([[1.0, 0.0]] * 7 + [[0.0, 1.0]] * 3)
    torch.testing.assert_close(settled(reward(["a", "b"]), shown), settled(reward(["a"], ["a", "b"]), shown))
    ratio = settled(reward(["a", "b"], form="ratio"), shown)
    assert float(ratio[:7].sum() / ratio.sum()) == pytest.approx(0.5)
    assert float(ratio.mean()) == pytest.approx(1)


def test_soft_labels_weigh_by_probability_and_stay_numbers() -> None:
    one = reward(["glasses"], soft=True)
    probability = torch.tensor([[0.9], [0.5], [0.1]])
    rewards = settled(one, probability)
    assert bool(rewards.isfinite().all())
    torch.testing.assert_close(rewards, 1.5 + (2 * probability[:, 0] - 1) * 0.0)


def test_a_judge_that_is_unsure_counts_for_all_classes_alike_and_one_that_says_no_number_is_named() -> None:
    unsure = torch.tensor([[0.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    both = reward(["a", "b"])
    assert both.measures(both.score(unsure)) == {"share of a": 0.5, "share of b": 0.5}
    torch.testing.assert_close(settled(both, unsure), torch.full((4,), 1.5))
    with pytest.raises(ConfigurationError, match="says of 1 of 2 pictures what is no probability"):
        both.score(torch.tensor([[float("nan"), 0.5], [1.0, 0.0]]))


def test_a_confusion_corrects_the_shares() -> None:
    confusion = [[0.9, 0.1], [0.2, 0.8]]
    one = reward(["glasses"], confusion=confusion)
    seen = 0.6 * 0.9 + 0.4 * 0.2
    shown = torch.cat([torch.ones(round(seen * 1000), 1), torch.zeros(1000 - round(seen * 1000), 1)])
    measured = one.measures(one.score(shown))
    assert measured["share of glasses"] == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": []}, "classes is empty"),
        ({"classes": ["a"], "target": 1.4}, "target is 1.4; give a share in 0..1"),
        ({"classes": ["a", "b"], "target": [0.5, 0.6]}, "add up to 1"),
        ({"classes": ["a"], "confusion": [[0.5, 0.5], [0.5, 0.5]]}, "tells the classes apart"),
    ],
)
def test_what_cannot_be_wanted_is_refused(options: dict[str, Any], message: str) -> None:
    judge = FunctionJudge(f"{__name__}.said", ["a", "b"])
    with pytest.raises(ConfigurationError, match=message):
        ShareReward(judge, **options)


def test_an_unknown_attribute_and_a_class_that_is_never_made_are_named() -> None:
    with pytest.raises(CheckpointError, match="knows no hat; it knows glasses"):
        reward(["hat"], ["glasses"])
    one = reward(["glasses"], form="ratio")
    with pytest.raises(ConfigurationError, match="not one of 4 pictures shows glasses"):
        one.settle(Scored(torch.ones(4), {"probability": torch.tensor([[0.0, 1.0]] * 4)}))
