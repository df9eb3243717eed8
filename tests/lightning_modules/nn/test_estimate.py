"""Intervals of shares and means hold what they promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lightning_modules.nn.estimate import Estimate, bootstrapped, difference, mean_of, wilson


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    expected = binomtest(count, n).proportion_ci(method="wilson")
    found = wilson(count, n)
    assert found.value == count / n
    assert found.low == pytest.approx(min(expected.low, found.value), abs=1e-9)
    assert found.high == pytest.approx(max(expected.high, found.value), abs=1e-9)


def test_a_share_of_nothing_may_be_anything() -> None:
    assert math.isnan(wilson(0, 0).value)
    assert wilson(0, 0)[1:] == (0.0, 1.0, 0)


def test_the_difference_of_equal_shares_holds_zero() -> None:
    found = difference(wilson(10, 100), wilson(10, 100))
    assert found.low < 0 < found.high
    assert difference(wilson(90, 100), wilson(10, 100)).low > 0.65


def test_the_mean_of_numbers_is_narrower_than_each() -> None:
    parts = [Estimate(1.0, 0.5, 1.5, 10)] * 4
    assert mean_of(parts) == Estimate(1.0, 0.75, 1.25, 40)
    assert math.isnan(mean_of([]).value)


def test_the_bootstrap_of_a_mean_is_that_of_its_formula() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    found = bootstrapped(values, lambda rows: rows.mean(dim=1), seed=1, draws=2000)
    half = 1.96 * values.std().item() / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    assert found == bootstrapped(values, lambda rows: rows.mean(dim=1), seed=1, draws=2000)
    assert math.isnan(bootstrapped(values[:1], lambda rows: rows.mean(dim=1), seed=0).low)
