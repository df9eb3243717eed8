"""Charges on pictures: zero where they must be, as computed by hand, with gradients."""

from __future__ import annotations

import torch

from lightning_modules.face_attributes.inversion.regularisers import (
    alpha_norm,
    asymmetry,
    slight_blur,
    total_variation,
    unlikeliness,
)


def test_total_variation_by_hand() -> None:
    ramp = torch.arange(4.0).expand(1, 3, 4, 4) / 10
    assert torch.allclose(total_variation(ramp), torch.tensor([0.01]))
    assert torch.allclose(total_variation(ramp, power=1.0), torch.tensor([0.1]), atol=1e-4)
    assert float(total_variation(torch.rand(1, 3, 8, 8))) > 0.05


def test_total_variation_of_power_one_has_a_gradient_at_flat_pictures() -> None:
    flat = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    total_variation(flat, 1.0).sum().backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())


def test_alpha_norm() -> None:
    assert torch.equal(alpha_norm(torch.full((2, 3, 2, 2), 0.5)), torch.zeros(2))
    assert torch.equal(alpha_norm(torch.ones(1, 3, 2, 2)), torch.ones(1))
    assert float(alpha_norm(torch.full((1, 3, 2, 2), 0.75), alpha=2.0)) == 0.25


def test_asymmetry() -> None:
    picture = torch.zeros(1, 3, 2, 2)
    picture[..., 0] = 1
    assert torch.equal(asymmetry(picture), torch.ones(1))
    assert torch.equal(asymmetry(torch.cat([picture, picture.flip(-1)], dim=-1)), torch.zeros(1))


def test_unlikeliness_counts_each_face_for_itself() -> None:
    assert torch.equal(unlikeliness(torch.tensor([[1.0, -1.0], [2.0, 0.0]])), torch.tensor([1.0, 2.0]))


def test_blur_is_slight_keeps_the_mean_and_smooths() -> None:
    picture = torch.zeros(1, 3, 7, 7)
    picture[..., 3, 3] = 200
    blurred = slight_blur(picture)
    assert float(blurred[0, 0, 3, 3]) == 188
    assert float(blurred[0, 0, 3, 2]) == 2
    assert float(blurred[0, 0, 2, 2]) == 1
    assert torch.allclose(blurred.sum(), picture.sum())
