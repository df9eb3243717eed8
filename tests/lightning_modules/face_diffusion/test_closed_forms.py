"""Where rounds that are learnt exactly lead: shares and copies from counts, by the very rewards of a training.

A round with rewards r and an anchor gamma on data d turns the density p into (r p + gamma d) / (E[r] + gamma).
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.face_diffusion.rewards.bias import Form, ShareReward
from lightning_modules.face_diffusion.rewards.combined import ProductReward, SumReward
from lightning_modules.face_diffusion.rewards.contract import Reward
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.face_diffusion.rewards.replication import ReplicationReward
from lightning_modules.face_diffusion.rewards.shaping import Normalise, Shaping
from tests.lightning_modules.face_diffusion.rewards.test_replication import Training, Vectors

NUMBER = 40_000  # samples of a round
PLAIN = Shaping()


class Kind(Judge):
    """Says which of the first columns of a picture is the largest."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.names = [f"class {place}" for place in range(number)]

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(pictures[:, : len(self.names)].argmax(dim=1), len(self.names)).float()


def share_reward(kinds: int, form: Form = "difference", **options: float) -> ShareReward:
    judge = Kind(max(2, kinds))
    reward = ShareReward(judge, judge.names[: 1 if kinds == 2 else kinds], form=form, **options)
    reward.load()
    return reward


def after_round(
    reward: Reward, atoms: Tensor, made: Tensor, data: Tensor, gamma: float = 0.0, shaping: Shaping = PLAIN
) -> Tensor:
    """Shares of the atoms after a round that is learnt exactly.

    Args:
        reward: Of the round.
        atoms: What is made, ``(A, F)``.
        made: Shares of the atoms before, ``(A,)``.
        data: Their shares in the data.
        gamma: Weight of the data.
        shaping: Of the rewards.
    """
    counts = (made.double() * NUMBER).round().long()
    row = torch.arange(len(atoms)).repeat_interleave(counts)
    worth = shaping(reward.settle(reward.score(atoms[row]))).double()
    mass = torch.zeros(len(atoms), dtype=torch.float64).index_add_(0, row, worth) / len(row)
    return (mass + gamma * data.double()) / (mass.sum() + gamma)


def fixed_point(reward: Reward, data: Tensor, gamma: float, normalise: Normalise = "none") -> float:
    made, atoms = data, torch.eye(len(data))
    for _ in range(60):
        made = after_round(reward, atoms, made, data, gamma, Shaping(normalise=normalise))
    return float(made[0])


@pytest.mark.parametrize(
    ("form", "normalise", "gamma", "wanted"),
    [
        ("difference", "none", 0.1, 0.533),
        ("difference", "none", 1.0, 0.635),
        ("difference", "mean", 0.1, 0.546),
        ("difference", "mean", 1.0, 0.651),
        ("ratio", "none", 0.1, 0.518),
        ("ratio", "none", 1.0, 0.599),
    ],
)
def test_the_anchor_moves_the_fixed_point_towards_the_data(
    form: Form, normalise: Normalise, gamma: float, wanted: float
) -> None:
    data = torch.tensor([0.698, 0.302])
    assert fixed_point(share_reward(2, form), data, gamma, normalise) == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize("wanted", [0.3, 0.5, 0.8])
def test_without_an_anchor_or_with_one_that_is_reweighted_the_target_is_reached(wanted: float) -> None:
    reward, data = share_reward(2, target=wanted), torch.tensor([0.7, 0.3])
    reweighted = torch.tensor([wanted, 1 - wanted])
    made = {"free": data, "anchored": data}
    for _ in range(60):
        made = {
            "free": after_round(reward, torch.eye(2), made["free"], data),
            "anchored": after_round(reward, torch.eye(2), made["anchored"], reweighted, gamma=0.3),
        }
    for shares in made.values():
        assert float(shares[0]) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("wanted", [0.3, 0.5])
def test_near_the_target_a_round_shrinks_the_deviation_at_the_derived_rate(wanted: float) -> None:
    reward = share_reward(2, target=wanted)
    before = torch.tensor([wanted + 0.01, 1 - wanted - 0.01])
    after = after_round(reward, torch.eye(2), before, before)
    rate = 1 - 2 * wanted * (1 - wanted) / (1 + wanted)
    assert (float(after[0]) - wanted) / 0.01 == pytest.approx(rate, abs=0.01)


def test_seven_classes_contract_slowly_by_differences_and_at_once_by_ratios() -> None:
    kinds, offset = 7, 0.5
    before = torch.full((kinds,), 1 / kinds)
    before[0] += 0.01
    before[1:] -= 0.01 / (kinds - 1)
    after = after_round(share_reward(kinds, offset=offset), torch.eye(kinds), before, before)
    assert (float(after[0]) - 1 / kinds) / 0.01 == pytest.approx(1 - 1 / (kinds * (1 + offset)), abs=0.01)
    far = torch.tensor([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    at_once = after_round(share_reward(kinds, "ratio"), torch.eye(kinds), far, far)
    torch.testing.assert_close(at_once.float(), torch.full((kinds,), 1 / kinds), atol=1e-4, rtol=0)


def test_ratios_between_pictures_of_equal_reward_stay() -> None:
    atoms = torch.tensor([[1.0, 0, 0], [1.0, 0, 1], [0, 1.0, 0], [0, 1.0, 1]])  # two kinds of each class
    before = torch.tensor([0.5, 0.2, 0.2, 0.1])
    after = after_round(share_reward(2), atoms, before, before)
    assert float(after[0] / after[1]) == pytest.approx(2.5)
    assert float(after[2] / after[3]) == pytest.approx(2.0)
    assert float(after[0] + after[1]) < 0.7


# Copies: the first atom is a training picture, the others are as unlike it as f says.


def replication(similarity: float) -> tuple[ReplicationReward, Tensor]:
    reward = ReplicationReward(Vectors())
    atoms = torch.tensor([[1.0, 0.0], [similarity, (1 - similarity**2) ** 0.5]])
    reward.begin(Training(atoms[:1]))
    return reward, atoms


@pytest.mark.parametrize(("gamma", "mean_reward"), [(0.1, 0.5), (0.3, 0.5), (0.2, 1.0), (2.0, 0.5)])
def test_an_anchor_on_the_training_pictures_keeps_copies(gamma: float, mean_reward: float) -> None:
    reward, atoms = replication(1 - mean_reward)
    made = torch.tensor([0.5, 0.5])
    copies_alone, none_of_them = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    held_out = made
    for _ in range(60):
        made = after_round(reward, atoms, made, copies_alone, gamma)
        held_out = after_round(reward, atoms, held_out, none_of_them, gamma)
    assert float(made[0]) == pytest.approx(min(1.0, gamma / mean_reward), abs=0.01)
    assert float(held_out[0]) == 0


def test_a_sum_shields_copies_and_a_product_does_not() -> None:
    reward, atoms = replication(0.4)  # r = 0 of a copy, .6 of the rest
    shares = ShareReward(Kind(2), ["class 0"], target=0.5)
    parts = [reward, shares]
    # At parity the reward of shares is 1.5 for all: a copy is worth 1.5 in the sum, what is none 2.1.
    atoms = torch.cat([torch.cat([atoms, one.repeat(2, 1)], dim=1) for one in torch.eye(2)])
    shares.judge = _Behind(2)
    shares.load()
    reward._training = torch.tensor([[1.0, 0.0]])
    reward.embedder = _First(2)
    before = torch.tensor([0.25, 0.25, 0.25, 0.25])
    added, multiplied = before, after_round(ProductReward(parts), atoms, before, before)
    for _ in range(5):
        added = after_round(SumReward(parts), atoms, added, before)
    assert float(multiplied[0] + multiplied[2]) == 0
    assert float(added[0] + added[2]) == pytest.approx(0.157, abs=1e-3)


class _Behind(Kind):
    """The classes stand behind the embedding."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(pictures[:, 2:])


class _First(Vectors):
    """The embedding alone."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def features(self, pictures: Tensor) -> Tensor:
        return super().features(pictures[:, : self.number])
