"""Gradient reversal: exact gradients, schedules."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.gradient_reversal import gradient_reversal, reversal_strength


def _parts() -> tuple[nn.Module, nn.Module, Tensor]:
    torch.manual_seed(0)
    below = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh()).double()
    head = nn.Sequential(nn.Conv2d(5, 4, 1), nn.Tanh(), nn.Conv2d(4, 1, 1)).double()
    return below, head, torch.randn(2, 3, 6, 6, dtype=torch.float64)


def _gradients(strength: float | None) -> tuple[list[Tensor], list[Tensor]]:
    below, head, x = _parts()
    features = below(x)
    if strength is not None:
        features = gradient_reversal(features, strength)
    head(features).square().mean().backward()
    return [p.grad for p in below.parameters()], [p.grad for p in head.parameters()]  # type: ignore[misc]  # backward has run


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 1.0, 2.0])
def test_gradient_below_is_exactly_minus_strength_times_the_plain_one(strength: float) -> None:
    plain, plain_head = _gradients(None)
    below, head = _gradients(strength)
    for reversed_, reference in zip(below, plain, strict=True):
        assert torch.equal(reversed_, -strength * reference)  # powers of two: not a bit is lost on the way down
    for own, reference in zip(head, plain_head, strict=True):
        assert torch.equal(own, reference)


@given(st.floats(0.0, 10.0))
def test_gradient_of_any_strength(strength: float) -> None:
    x = torch.linspace(-2, 2, 7, dtype=torch.float64, requires_grad=True)
    gradient_reversal(x, strength).pow(3).sum().backward()
    assert torch.equal(x.grad, 3 * x.detach() ** 2 * -strength)  # type: ignore[arg-type]  # backward has run


def test_forward_is_the_input_itself() -> None:
    x = torch.randn(3, requires_grad=True)
    y = gradient_reversal(x, 0.7)
    assert torch.equal(x, y)
    assert y.data_ptr() == x.data_ptr()


def test_gradcheck_of_two_reversals_which_are_the_identity() -> None:
    _, head, _ = _parts()
    features = torch.randn(2, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: head(gradient_reversal(gradient_reversal(f, 0.4), 2.5)), features)
    assert torch.autograd.gradgradcheck(lambda f: head(gradient_reversal(gradient_reversal(f, 0.4), 2.5)), features)


def test_half_precision_gradient() -> None:
    x = torch.randn(64, dtype=torch.bfloat16, requires_grad=True)
    gradient_reversal(x, 0.3).square().sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * 2 * x.detach(), rtol=2e-2, atol=0)


@given(st.floats(-1.0, 2.0), st.sampled_from(["ganin", "linear", "constant"]))
def test_strength_stays_in_range_and_never_falls(progress: float, schedule: str) -> None:
    now = reversal_strength(progress, schedule)  # type: ignore[arg-type]  # one of the three
    assert 0.0 <= now <= 1.0
    assert reversal_strength(progress + 0.1, schedule) >= now  # type: ignore[arg-type]  # likewise


def test_unknown_schedule() -> None:
    with pytest.raises(ConfigurationError, match="ganin, linear or constant"):
        reversal_strength(0.5, "cosine")  # type: ignore[arg-type]  # the error is wanted
