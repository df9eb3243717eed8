"""Entropy and mutual information of scores."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_modules.inspection.uncertainty import binary_entropy, mutual_information


def test_entropy_agrees_with_torch() -> None:
    probability = torch.linspace(0.01, 0.99, 33, dtype=torch.float64)
    expected = torch.distributions.Bernoulli(probs=probability).entropy()
    torch.testing.assert_close(binary_entropy(probability), expected)
    assert float(binary_entropy(torch.tensor(0.5))) == pytest.approx(math.log(2))


def test_mutual_information_is_of_disagreement_only() -> None:
    same = torch.full((8, 5), 0.3)
    assert float(mutual_information(same).max()) == pytest.approx(0, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    samples = torch.rand(20, 100, generator=generator)
    value = mutual_information(samples)
    assert bool((value >= 0).all())
    assert bool((value <= binary_entropy(samples.mean(0))).all())
