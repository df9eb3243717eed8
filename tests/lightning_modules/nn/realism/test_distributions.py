"""Fréchet distance, precision and recall, and distances inside classes, on sets whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.realism.distance import kernel_distance
from lightning_modules.nn.realism.frechet import frechet_distance
from lightning_modules.nn.realism.manifold import precision_recall
from lightning_modules.nn.realism.spread import pairwise_distance
from lightning_modules.nn.realism.within import class_kernel_distances, class_spreads


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_equal_sets_have_no_frechet_distance() -> None:
    points = normal(300, 12)
    found = frechet_distance(points, points)
    assert found.value == pytest.approx(0, abs=1e-6)
    assert found.low == 0
    assert found == frechet_distance(points, points)


def test_the_frechet_distance_of_two_normal_distributions() -> None:
    """|m1 - m2|^2 + |S1^(1/2) - S2^(1/2)|^2 where both covariances have the same axes."""
    turn = torch.linalg.qr(normal(4, 4, seed=3).double()).Q
    first, second = torch.tensor([1.0, 2.0, 0.5, 1.5]).double(), torch.tensor([2.0, 1.0, 0.5, 3.0]).double()
    shift = torch.tensor([1.0, 0.0, -2.0, 0.0]).double()
    one = normal(40_000, 4).double() * first @ turn.T
    other = normal(40_000, 4, seed=1).double() * second @ turn.T + shift
    expected = (shift.square().sum() + (first - second).square().sum()).item()
    found = frechet_distance(one, other)
    assert found.value == pytest.approx(expected, rel=0.02)
    assert found.low <= expected <= found.high


def test_more_features_than_pictures_have_no_frechet_distance() -> None:
    with pytest.raises(ConfigurationError, match="needs more than 30 pictures of either kind, but there are 30 made"):
        frechet_distance(normal(30, 30), normal(100, 30))


def test_precision_and_recall_of_sets_apart_and_of_one_set() -> None:
    real = normal(300, 3)
    apart = precision_recall(real + 100, real)
    assert (apart.precision.value, apart.recall.value) == (0, 0)
    same = precision_recall(real, real)
    assert (same.precision.value, same.recall.value) == (1, 1)
    assert same.precision.n == 300


def test_one_mode_of_two_is_precise_and_recalls_half() -> None:
    modes = torch.cat([normal(200, 2), normal(200, 2, seed=1) + 50])
    one = precision_recall(modes[:200] + 1e-3, modes)
    assert one.precision.value > 0.98
    assert one.recall.value == pytest.approx(0.5, abs=0.02)
    both = precision_recall(torch.cat([modes[:200], modes[:200] - 50]) + 1e-3, modes[:200])
    assert both.precision.value == pytest.approx(0.5, abs=0.02)
    assert both.recall.value > 0.98


def test_precision_looks_as_far_as_the_neighbour() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    found = precision_recall(torch.tensor([[4.5], [12.5], [5.5]]), line, neighbours=1)
    assert found.precision.value == pytest.approx(2 / 3)  # 7 reaches to 3 and 11


@pytest.mark.parametrize("made", [1, 3])
def test_fewer_pictures_than_neighbours_have_no_precision(made: int) -> None:
    with pytest.raises(ConfigurationError, match=f"look at the 3 nearest pictures, but there are {made} made"):
        precision_recall(normal(made, 2), normal(50, 2))


def test_other_shares_move_the_kernel_distance_and_not_the_one_inside_classes() -> None:
    real = torch.cat([normal(350, 4), normal(150, 4, seed=1) + 3])
    real_labels = torch.tensor([0] * 350 + [1] * 150)
    fair = torch.cat([normal(250, 4, seed=2), normal(250, 4, seed=3) + 3])
    labels = torch.tensor([0] * 250 + [1] * 250)
    whole = kernel_distance(fair, real)
    inside = class_kernel_distances(fair, labels, real, real_labels)
    assert whole.low > 0.01
    assert inside.mean.low < 0 < inside.mean.high
    assert set(inside.each) == {0, 1}
    lacking = class_kernel_distances(fair, labels * 0 - 1, real, real_labels)
    assert lacking.each == {}
    assert math.isnan(lacking.mean.value)


def test_intervals_of_kernel_distances_hold_the_distance() -> None:
    """Of 60 pairs of small sets: the true distance is that of two large ones."""
    true = kernel_distance(normal(4000, 32, seed=998) + 0.4, normal(4000, 32, seed=999)).value
    moved = [
        kernel_distance(normal(60, 32, seed=2 * seed) + 0.4, normal(90, 32, seed=2 * seed + 1)) for seed in range(60)
    ]
    assert sum(one.low <= true <= one.high for one in moved) >= 53
    equal = [kernel_distance(normal(60, 32, seed=2 * seed), normal(90, 32, seed=2 * seed + 1)) for seed in range(60)]
    assert sum(one.low <= 0 <= one.high for one in equal) >= 53
    assert max(one.high for one in equal) < true / 2  # and it is no wider than it must be


def test_blocks_change_no_kernel_distance() -> None:
    first, second = normal(1500, 3), normal(1100, 3, seed=1)
    scale = second.double().norm(dim=1).mean() / 3**0.5
    own, other = first.double() / scale, second.double() / scale
    whole = [(a @ b.T / 3 + 1).pow(3) for a, b in ((own, own), (other, other), (own, other))]
    expected = (
        (whole[0].sum() - whole[0].diagonal().sum()) / (1500 * 1499)
        + (whole[1].sum() - whole[1].diagonal().sum()) / (1100 * 1099)
        - 2 * whole[2].mean()
    )
    assert kernel_distance(first, second).value == pytest.approx(expected.item(), abs=1e-9)


def test_spread_inside_classes() -> None:
    points = torch.cat([normal(100, 8), 10 + 0.01 * normal(100, 8, seed=1)])
    found = class_spreads(points, torch.tensor([0] * 100 + [1] * 100))
    assert found.each[0].value == pytest.approx(3.9, abs=0.3)  # sqrt(2) times the length of a normal vector
    assert found.each[1].value < 0.05
    assert found.each[0].low < found.each[0].value < found.each[0].high
    assert pairwise_distance(points).n == 200


def test_the_interval_of_a_spread_holds_it() -> None:
    true = pairwise_distance(normal(5000, 3, seed=999)).value
    found = [pairwise_distance(normal(80, 3, seed=seed)) for seed in range(60)]
    assert sum(one.low <= true <= one.high for one in found) >= 52
