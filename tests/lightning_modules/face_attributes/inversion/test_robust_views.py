"""Random views: each face has its own, whatever faces stand beside it."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.face_attributes.inversion.robust_views import RobustViews, roll
from lightning_modules.face_attributes.inversion.settings import InversionSettings

CPU = torch.device("cpu")


def pictures(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["roll", "warp"])
def test_a_face_moves_as_if_it_were_alone(kind: str) -> None:
    settings = InversionSettings(views=kind, jitter=3)  # type: ignore[arg-type]  # one of the literals
    seeds = torch.tensor([5, 9, 2, 7])
    together = RobustViews(settings, seeds, 6, CPU)
    alone = RobustViews(settings, seeds[2:3], 6, CPU)
    for step in range(6):
        assert torch.allclose(together(pictures(), step)[2:3], alone(pictures()[2:3], step), atol=1e-6)


def test_fewer_steps_are_the_beginning_of_more() -> None:
    settings, seeds = InversionSettings(views="roll", jitter=3), torch.tensor([4])
    short, long = RobustViews(settings, seeds, 3, CPU), RobustViews(settings, seeds, 9, CPU)
    assert all(torch.equal(short(pictures(1), step), long(pictures(1), step)) for step in range(3))


def test_faces_and_steps_differ_and_stay_in_reach() -> None:
    views = RobustViews(InversionSettings(views="roll", jitter=2), torch.arange(8), 40, CPU)
    marked = torch.zeros(8, 1, 9, 9)
    marked[:, :, 4, 4] = 1
    places = {tuple(place) for step in range(40) for place in views(marked, step).nonzero()[:, 2:].tolist()}
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_roll_is_torchs_own_with_gradient() -> None:
    shifts = torch.tensor([[1, 2], [-3, 0], [0, 0], [5, -5]])
    source = pictures().requires_grad_()
    rolled = roll(source, shifts)
    expected = torch.stack([p.roll(tuple(s), (1, 2)) for p, s in zip(source.detach(), shifts.tolist(), strict=True)])
    assert torch.equal(rolled.detach(), expected)
    weights = torch.rand(rolled.shape, generator=torch.Generator().manual_seed(3))
    (rolled * weights).sum().backward()
    assert source.grad is not None
    assert torch.equal(roll(source.grad, shifts), weights)


def test_a_warp_without_reach_changes_nothing() -> None:
    still = RobustViews(InversionSettings(views="warp", jitter=0, rotation=0, zoom=0), torch.arange(4), 2, CPU)
    assert torch.allclose(still(pictures(), 1), pictures(), atol=1e-5)
    assert RobustViews(InversionSettings(views="none"), torch.arange(4), 2, CPU)(pictures(), 0).equal(pictures())


def test_a_warp_has_a_gradient() -> None:
    source = pictures().requires_grad_()
    RobustViews(InversionSettings(views="warp"), torch.arange(4), 1, CPU)(source, 0).sum().backward()
    assert source.grad is not None
    assert float(source.grad.abs().mean()) > 0.5
