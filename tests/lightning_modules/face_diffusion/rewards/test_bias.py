"""Rewards of shares: closed forms of a round, from counts alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_diffusion.rewards.bias import Form, ShareReward
from lightning_modules.face_diffusion.rewards.combined import ProductReward, SumReward
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored
from lightning_modules.face_diffusion.rewards.judges import FunctionJudge


def said(pictures: Tensor) -> Tensor:
    """What a judge says stands in the pictures."""
    return pictures


def reward(classes: list[Any], names: list[str] | None = None, **options: Any) -> ShareReward:
    made = ShareReward(FunctionJudge(f"{__name__}.said", names or classes), classes, **options)
    made.load()
    return made


def settled(one: Reward, probabilities: Tensor) -> Tensor:
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
    told = both.measures(both.score(unsure))
    assert (told["share of a"], told["share of b"]) == (0.5, 0.5)
    torch.testing.assert_close(settled(both, unsure), torch.full((4,), 1.5))
    with pytest.raises(ConfigurationError, match="says of 1 of 2 pictures what is no probability"):
        both.score(torch.tensor([[float("nan"), 0.5], [1.0, 0.0]]))


def test_what_no_reward_can_mend_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    said_of = {"sees glasses in not one of 3 pictures": [[0.0]] * 3, "prefers no class in any of 3": [[0.5]] * 3}
    for words, pictures in said_of.items():
        caplog.clear()
        one = reward(["glasses"])
        with caplog.at_level(logging.WARNING):
            assert len(set(settled(one, torch.tensor(pictures)).tolist())) == 1
            settled(one, torch.tensor(pictures))
        assert [words in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    settled(reward(["glasses"], target=0.0), torch.tensor([[0.0]] * 3))
    settled(reward(["glasses"]), torch.tensor([[0.0], [0.5]]))
    assert not caplog.records  # of what is not wanted none is missed, and an unsure judge counts half


def test_a_confusion_corrects_the_shares() -> None:
    confusion = [[0.9, 0.1], [0.2, 0.8]]
    one = reward(["glasses"], confusion=confusion)
    seen = 0.6 * 0.9 + 0.4 * 0.2
    shown = torch.cat([torch.ones(round(seen * 1000), 1), torch.zeros(1000 - round(seen * 1000), 1)])
    measured = one.measures(one.score(shown))
    assert measured["share of glasses"] == pytest.approx(0.6, abs=1e-6)


def test_a_share_is_told_with_its_interval() -> None:
    one = reward(["glasses"])
    told = one.measures(one.score(torch.cat([torch.ones(5, 1), torch.zeros(5, 1)])))
    wilson = {"share of glasses": 0.5, "share of glasses low": 0.2366, "share of glasses high": 0.7634}
    assert {name: round(told[name], 4) for name in wilson} == wilson
    told = one.measures(one.score(torch.zeros(20, 1)))
    assert (told["share of glasses low"], round(told["share of glasses high"], 4)) == (0.0, 0.1611)


def test_the_interval_of_a_corrected_share_holds_the_true_one_as_often_as_it_says() -> None:
    confusion, true, held = [[0.9, 0.1], [0.2, 0.8]], 0.3, 0
    one = reward(["glasses"], confusion=confusion)
    seen = true * 0.9 + (1 - true) * 0.2
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        shown = (torch.rand(200, 1, generator=generator) < seen).float()
        told = one.measures(one.score(shown))
        held += told["share of glasses low"] <= true <= told["share of glasses high"]
    assert 0.92 <= held / 400 <= 0.98


def cells(joint: list[float], number: int = 5_000) -> Tensor:
    """What a judge says of pictures of the classes A and B, A and no B, no A and B, neither: A, then B."""
    said = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    return said.repeat_interleave((torch.tensor(joint) * number).round().long(), dim=0)


def after_a_round(one: Reward, joint: list[float]) -> list[float]:
    """Shares of the four classes once a round is learnt exactly: p r / E[r]."""
    said = cells(joint)
    rewards = one.settle(one.score(said)).double()
    place = (2 * (1 - said[:, 0]) + 1 - said[:, 1]).long()
    mass = torch.zeros(4, dtype=torch.float64).index_add_(0, place, rewards)
    return (mass / mass.sum()).tolist()


def rounds(one: Reward, joint: list[float], number: int) -> list[float]:
    for _ in range(number):
        joint = after_a_round(one, joint)
    return joint


TIED = [0.6, 0.1, 0.1, 0.2]  # seven in ten show A, seven in ten B, mostly both


def both(form: Form, first: float = 0.5, second: float = 0.5) -> list[Reward]:
    return [reward([name], ["a", "b"], target=share, form=form) for name, share in (("a", first), ("b", second))]


@pytest.mark.parametrize("combined", [ProductReward, SumReward])
def test_two_attributes_reach_their_targets_together(combined: type[ProductReward] | type[SumReward]) -> None:
    a_b, a, b, _ = rounds(combined(both("difference", 0.5, 0.3)), TIED, 120)
    assert a_b + a == pytest.approx(0.5, abs=2e-3)
    assert a_b + b == pytest.approx(0.3, abs=2e-3)
    assert a_b > (a_b + a) * (a_b + b) + 0.05  # they go together as before


def test_a_product_of_ratios_is_there_at_once_where_attributes_are_independent_and_swings_where_they_are_one() -> None:
    independent = [0.7 * 0.6, 0.7 * 0.4, 0.3 * 0.6, 0.3 * 0.4]
    a_b, a, b, _ = after_a_round(ProductReward(both("ratio")), independent)
    assert (a_b + a, a_b + b) == pytest.approx((0.5, 0.5), abs=1e-4)
    one = [0.7, 0.0, 0.0, 0.3]
    assert after_a_round(ProductReward(both("ratio")), one)[0] == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (None, [0.25] * 4),
        ([0.5, 0.3], [0.15, 0.35, 0.15, 0.35]),
        ([[0.5, 0.5], 0.3], [0.15, 0.35, 0.15, 0.35]),
        ([0.4, 0.1, 0.2, 0.3], [0.4, 0.1, 0.2, 0.3]),
    ],
)
def test_crossed_attributes_reach_every_combination(target: Any, wanted: list[float]) -> None:
    ratio = reward([["a"], ["b"]], ["a", "b"], target=target, form="ratio")
    assert after_a_round(ratio, TIED) == pytest.approx(wanted, abs=1e-4)
    difference = reward([["a"], ["b"]], ["a", "b"], target=target)
    assert rounds(difference, TIED, 60) == pytest.approx(wanted, abs=2e-3)


def test_crossed_attributes_tell_the_share_of_each_and_are_decided_one_by_one() -> None:
    one = reward([["a"], ["x", "y", "z"]], ["z", "x", "y", "a"])
    assert one.classes[:2] == ["a and x", "a and y"]
    said = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.2, 0.1, 0.9, 0.5]])  # the second is unsure of a, and sure of y
    told = one.measures(one.score(said))
    shares = [told[f"share of {name}"] for name in ("a", "no a", "x", "y", "z", "a and x", "a and y", "no a and y")]
    assert shares == pytest.approx([0.75, 0.25, 0.5, 0.5, 0.0, 0.5, 0.25, 0.25])
    assert told["share of a and x low"] < 0.5 < told["share of a and x high"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": [["a"], []]}, "classes is .*name an attribute"),
        ({"classes": [["a"], ["b"]], "target": 0.5}, "one for each of 2 crossed attributes.*of 4 classes: a and b, a"),
        ({"classes": [["a"], ["b"]], "target": [0.5, 0.2, 0.2, 0.2]}, "add up to 1"),
        ({"classes": ["a", "b"], "target": [[0.5], [0.5]]}, "are for crossed attributes"),
        ({"classes": []}, "classes is .*name an attribute"),
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


@pytest.mark.parametrize("kind", [ProductReward, SumReward])
def test_a_combined_reward_reads_what_its_parts_need(kind: type[ProductReward] | type[SumReward]) -> None:
    names = ["hat", "beard"]
    parts = [ShareReward(FunctionJudge(f"{__name__}.said", names), [name], target=0.5) for name in names]
    combined = kind([parts[0], kind([parts[1]])])
    combined.load()
    shown = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    own = [settled(reward([name], names, target=0.5), shown) for name in names]
    expected = own[0] * own[1] if kind is ProductReward else own[0] + own[1]
    torch.testing.assert_close(settled(combined, shown), expected)
