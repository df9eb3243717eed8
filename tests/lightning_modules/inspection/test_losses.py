"""Masked loss, its averages, distillation; gradients outside M."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.inspection.losses import (
    distillation_loss,
    global_counts,
    masked_bce,
    weak_loss,
)


def _areas(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    shape = (2, 3, 1, 4, 5)
    logits = torch.randn(shape, generator=noise, dtype=torch.float64).to(dtype).requires_grad_()
    target = (torch.rand(shape, generator=noise) < 0.3).to(dtype)
    return logits, target, torch.rand(shape, generator=noise) < 0.4


def test_equals_plain_cross_entropy_when_all_is_known() -> None:
    logits, target, known = _areas()
    everything = torch.ones_like(known)
    plain = F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(masked_bce(logits, target, everything), plain, rtol=1e-14, atol=0)
    ours = torch.autograd.grad(masked_bce(logits, target, everything), logits)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(plain, logits)[0], rtol=1e-14, atol=1e-18)


def test_equation_4_by_hand() -> None:
    probability = torch.tensor([0.9, 0.2, 0.7], dtype=torch.float64)
    value = masked_bce(probability.logit(), torch.tensor([1.0, 0.0, 1.0]), torch.tensor([True, True, False]))
    assert float(value) == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2, rel=1e-12)


@given(st.integers(0, 10_000))
def test_gradient_is_exactly_zero_outside(seed: int) -> None:
    logits, target, known = _areas(seed)
    gradient = torch.autograd.grad(masked_bce(logits, target, known), logits)[0]
    assert (gradient[~known] == 0).all()
    assert (gradient[known] != 0).all()
    plain = F.binary_cross_entropy_with_logits(logits[known], target[known])
    torch.testing.assert_close(gradient, torch.autograd.grad(plain, logits)[0], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_broken_logit_outside_does_no_harm(value: float) -> None:
    logits, target, known = _areas()
    with torch.no_grad():
        logits[~known] = value
    loss = masked_bce(logits, target, known)
    gradient = torch.autograd.grad(loss, logits)[0]
    assert loss.isfinite()
    assert (gradient[~known] == 0).all()


def test_no_known_area_gives_a_zero_in_the_graph() -> None:
    logits, target, known = _areas()
    loss = masked_bce(logits, target, torch.zeros_like(known))
    assert loss == 0
    assert loss.requires_grad
    assert (torch.autograd.grad(loss, logits)[0] == 0).all()


def test_gradcheck() -> None:
    logits, target, known = _areas()
    teacher = torch.rand(logits.shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: masked_bce(x, target, known, positive_weight=3.0), logits)
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, known), logits)


def test_positive_weight_multiplies_the_positive_term() -> None:
    logits = torch.zeros(2)
    target = torch.tensor([1.0, 0.0])
    known = torch.ones(2, dtype=torch.bool)
    assert float(masked_bce(logits, target, known, positive_weight=3.0)) == pytest.approx(2 * math.log(2))


def test_bfloat16_is_computed_in_float32() -> None:
    logits, target, known = _areas(dtype=torch.bfloat16)
    exact = masked_bce(logits.detach().double(), target.double(), known)
    value = masked_bce(logits, target, known)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)
    gradient = torch.autograd.grad(value, logits)[0]
    reference = logits.detach().double().requires_grad_()
    expected = torch.autograd.grad(masked_bce(reference, target.double(), known), reference)[0]
    torch.testing.assert_close(gradient.double(), expected, rtol=2e-2, atol=1e-4)


def test_counts_of_one_process() -> None:
    counts = global_counts(torch.ones(3, dtype=torch.bool), torch.zeros(2, dtype=torch.bool))
    assert [float(count) for count in counts] == [3.0, 1.0]


def test_joint_split_and_whole_averages() -> None:
    logits, target, answered = _areas()
    assumed, rows = ~answered, torch.ones_like(answered)
    joint = weak_loss(logits, target, answered, assumed, rows, average="joint")
    torch.testing.assert_close(joint, masked_bce(logits, target, answered | assumed), rtol=1e-6, atol=0)
    split = weak_loss(logits, target, answered, assumed, rows, average="split")
    apart = masked_bce(logits, target, answered) + masked_bce(logits, target, assumed)
    torch.testing.assert_close(split, apart, rtol=1e-6, atol=0)
    nothing = torch.zeros_like(answered)
    # Without assumed areas the two are the same loss.
    alone = [weak_loss(logits, target, answered, nothing, rows, average=average) for average in ("joint", "split")]
    torch.testing.assert_close(alone[0], alone[1], rtol=0, atol=0)
    # Divided by all areas of the images, an answered area weighs as much as if all were labelled.
    whole = weak_loss(logits, target, answered, nothing, rows, average="all")
    share = answered.sum() / answered.numel()
    torch.testing.assert_close(whole, masked_bce(logits, target, answered) * share, rtol=1e-6, atol=0)


def test_distillation_is_zero_at_the_teacher_and_positive_elsewhere() -> None:
    logits, _, known = _areas()
    same = distillation_loss(logits, logits.detach().sigmoid(), known)
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-12)
    gradient = torch.autograd.grad(same, logits)[0]
    assert gradient.abs().max() < 1e-15
    assert distillation_loss(logits, (logits.detach() + 1).sigmoid(), known) > 0.01


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_a_certain_teacher_gives_cross_entropy(certain: float) -> None:
    logits, _, known = _areas()
    teacher = torch.full_like(logits, certain)
    torch.testing.assert_close(distillation_loss(logits, teacher, known), masked_bce(logits, teacher, known))
