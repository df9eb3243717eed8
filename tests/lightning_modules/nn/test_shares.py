"""Distances of shares, and shares corrected by the judge's errors, on cases whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.nn.shares import corrected_shares, distances, divergence, jensen_shannon, labels_of
from lightning_modules.nn.shares import total_variation as total

SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda values: torch.tensor(values).double())


@given(SHARES, SHARES)
def test_distances_are_what_they_are_called(first: torch.Tensor, second: torch.Tensor) -> None:
    first, second = first / first.sum(), second / second.sum()
    assert total(first, first) == 0
    assert 0 <= total(first, second) <= 1
    assert divergence(first, second) >= 2 * total(first, second) ** 2 - 1e-9  # Pinsker
    assert jensen_shannon(first, second) == pytest.approx(jensen_shannon(second, first).item(), abs=1e-9)
    assert -1e-9 <= jensen_shannon(first, second) <= math.log(2) + 1e-9


def test_distances_of_two_classes() -> None:
    found = distances(torch.tensor([70.0, 30.0]), torch.tensor([0.5, 0.5]))
    assert found["total_variation"].value == pytest.approx(0.2)
    assert found["max_over_min"].value == pytest.approx(7 / 3)
    assert found["total_variation"].low < 0.2 < found["total_variation"].high
    assert all(one.n == 100 for one in found.values())
    equal = distances(torch.tensor([50.0, 50.0]), torch.tensor([0.5, 0.5]))
    assert equal["total_variation"][:2] == (0.0, 0.0)
    lacking = distances(torch.tensor([10.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert math.isinf(lacking["kl"].value)
    assert math.isinf(lacking["max_over_min"].value)
    assert math.isnan(distances(torch.zeros(2), torch.tensor([0.5, 0.5]))["js"].value)


def test_corrected_shares_are_inside_their_intervals() -> None:
    generator = torch.Generator().manual_seed(0)
    judge = torch.tensor([[0.9, 0.1], [0.25, 0.75]], dtype=torch.float64)
    inside = 0
    for repeat in range(100):
        true = (torch.rand(800, generator=generator) < 0.3).long()  # 0.3 of class 1
        said = torch.multinomial(judge[true], 1, generator=generator)[:, 0]
        known = torch.arange(400) % 2
        answers = torch.multinomial(judge[known], 1, generator=generator)[:, 0]
        table = torch.zeros(2, 2, dtype=torch.float64).index_put_(
            (known, answers), torch.ones(400).double(), accumulate=True
        )
        counts = torch.bincount(said, minlength=2).double()
        confusion = table / table.sum(dim=1, keepdim=True)
        found = corrected_shares(counts, confusion, table, seed=repeat)
        inside += found[1].low <= 0.3 <= found[1].high
    assert inside >= 90


def test_labels_need_more_than_half() -> None:
    shown = torch.tensor([[0.2, 0.8], [0.5, 0.5], [torch.nan, torch.nan]])
    assert labels_of(shown).tolist() == [1, -1, -1]
