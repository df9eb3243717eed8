"""Measures of realism on pictures and features whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.realism.distance import kernel_distance
from lightning_modules.nn.realism.nearest import copies, nearest, nearest_ratio
from lightning_modules.nn.realism.spread import diversity, random_pairs, similarity_percentile
from lightning_modules.nn.realism.variation import blurred_pixels, spectrum_slope, total_variation, variation_ratio


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def coloured_noise(number: int, side: int, slope: float, seed: int = 0) -> Tensor:
    """Pictures with power proportional to frequency ** slope."""
    frequency = torch.fft.fftfreq(side).mul(side)
    radius = (frequency[:, None].square() + frequency[None].square()).sqrt().clamp_min(1)
    spectrum = torch.fft.fft2(normal(number, 3, side, side, seed=seed)) * radius ** (slope / 2)
    return torch.fft.ifft2(spectrum).real


def test_total_variation_of_a_ramp_and_of_noise() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 11, 11)
    torch.testing.assert_close(total_variation(ramp), torch.tensor([0.1]))
    images = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    assert variation_ratio(images, images) == 1
    assert variation_ratio(functional.avg_pool2d(images, 3, 1, 1), images) < 0.5
    assert blurred_pixels(images).shape == (4, 768)


@pytest.mark.parametrize("number", [3, 300])
def test_nearest_by_blocks(number: int) -> None:
    reference = normal(50, 7)
    queries = reference[torch.arange(number) % 50] + 1e-3
    found = nearest(queries, reference)
    assert found.row.tolist() == [row % 50 for row in range(number)]
    torch.testing.assert_close(found.distance, torch.full((number,), 1e-3 * 7**0.5).double(), rtol=1e-3, atol=0)


def test_nearest_ratio_is_one_for_real_and_more_for_strange_faces() -> None:
    reference, held_out = normal(800, 8), normal(400, 8, seed=1)
    assert nearest_ratio(normal(400, 8, seed=2), held_out, reference) == pytest.approx(1, abs=0.05)
    assert nearest_ratio(normal(400, 8, seed=2) * 2, held_out, reference) > 1.5
    assert nearest_ratio(torch.zeros(400, 8), held_out, reference) < 0.8  # a mean face is nearest of all


def test_copies_of_one_face_are_told_from_what_lies_between_all() -> None:
    reference = normal(200, 16)
    made = torch.cat([reference[:10] + 0.01 * normal(10, 16, seed=1), torch.zeros(30, 16)])
    assert copies(made, reference) == pytest.approx(0.25)
    assert copies(normal(300, 16, seed=2), reference) == 0


def test_kernel_distance_is_unbiased_and_orders() -> None:
    real = normal(400, 16)
    repeats = [kernel_distance(normal(100, 16, seed=seed), real).value for seed in range(1, 21)]
    spread = torch.tensor(repeats)
    assert abs(spread.mean()) < 3 * spread.std() / len(repeats) ** 0.5  # no bias towards above 0
    same = kernel_distance(normal(100, 16, seed=1), real)
    assert same.low < 0.02
    assert same.low <= same.value <= same.high
    values = [kernel_distance(normal(100, 16, seed=1) + shift, real).value for shift in (0.0, 0.3, 0.9)]
    assert values == sorted(values)
    assert kernel_distance(normal(100, 16, seed=1) + 0.9, real).low > same.high
    assert kernel_distance(real[:9], real) == kernel_distance(real[:9], real)
    with pytest.raises(ConfigurationError, match="1 made"):
        kernel_distance(real[:1], real)


def test_diversity() -> None:
    assert diversity(torch.zeros(5, 3)) == 0
    assert diversity(torch.tensor([[0.0], [1.0], [2.0]])) == pytest.approx((1 + 1 + 2) / 3)
    assert math.isnan(diversity(torch.zeros(1, 3)))


@pytest.mark.parametrize("slope", [0.0, -1.0, -2.0, -3.0])
def test_spectrum_slope(slope: float) -> None:
    found = spectrum_slope(coloured_noise(8, 64, slope)).mean().item()
    assert found == pytest.approx(slope, abs=0.25)
    assert torch.isfinite(spectrum_slope(torch.full((2, 3, 16, 16), 0.5))).all()


def test_similarity_percentile_of_friends_and_strangers() -> None:
    real, sources = normal(300, 24) + 5, normal(200, 24, seed=1) + 5  # a common offset is no likeness
    assert similarity_percentile(sources + 0.1, sources, real).min() > 99
    strangers = similarity_percentile(normal(200, 24, seed=2) + 5, sources, real)
    assert strangers.mean() == pytest.approx(50, abs=6)
    pairs = random_pairs(300, 1000, seed=0)
    assert (pairs[0] != pairs[1]).all()
    assert pairs.max() < 300
