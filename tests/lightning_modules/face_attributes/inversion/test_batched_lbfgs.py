"""L-BFGS over independent problems: it converges, never rises, and no problem knows of another."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_modules.face_attributes.inversion.batched_lbfgs import minimise


def bowls(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Quadratics of very different curvature and their minima."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(count, size, size, generator=generator, dtype=torch.float64)).Q
    scales = torch.logspace(0, 3, size, dtype=torch.float64)
    minima = torch.randn(count, size, generator=generator, dtype=torch.float64)
    return basis @ torch.diag(scales) @ basis.transpose(1, 2), minima


def evaluate(matrices: Tensor, minima: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    away = points - minima
    gradients = (matrices @ away[..., None])[..., 0]
    return 0.5 * (away * gradients).sum(dim=1), gradients


def test_finds_the_minimum_of_each_and_never_rises() -> None:
    matrices, minima = bowls(5, 12)
    reached, losses = minimise(lambda x: evaluate(matrices, minima, x), torch.zeros_like(minima), 80)
    assert torch.allclose(reached, minima, atol=5e-3)
    assert bool((losses.diff(dim=0) <= 0).all())


def test_a_problem_is_solved_as_if_alone() -> None:
    matrices, minima = bowls(4, 6)
    together, _ = minimise(lambda x: evaluate(matrices, minima, x), torch.zeros_like(minima), 15)
    alone, _ = minimise(lambda x: evaluate(matrices[2:3], minima[2:3], x), torch.zeros(1, 6).double(), 15)
    assert torch.allclose(together[2:3], alone, atol=1e-10)


def test_steep_and_flat_places() -> None:
    def rosenbrock(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        losses = (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2
        (gradients,) = torch.autograd.grad(losses.sum(), x)
        return losses.detach(), gradients

    reached, _ = minimise(rosenbrock, torch.tensor([[-1.2, 1.0], [1.0, 1.0], [0.0, 0.0]]).double(), 80)
    assert torch.allclose(reached, torch.ones(3, 2).double(), atol=1e-3)


def test_no_steps_no_move() -> None:
    points = torch.ones(2, 3)
    reached, losses = minimise(lambda x: (x.square().sum(1), 2 * x), points, 0)
    assert torch.equal(reached, points)
    assert losses.shape == (0, 2)
