"""Spaces: pictures in 0..1, coordinates that lead back, noise that a face subspace cannot hold."""

from __future__ import annotations

import pytest
import torch

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.inversion.parameterisation import (
    FaceSpace,
    FourierSpace,
    ImageSpace,
    PixelSpace,
    colour_basis,
    make_space,
)

SIDE = 16


def thumbnails(count: int = 40, side: int = SIDE) -> torch.Tensor:
    """Discs of several colours, places and sizes on several grounds."""
    generator = torch.Generator().manual_seed(0)
    colour, ground = torch.rand(2, count, 3, 1, 1, generator=generator)
    place = torch.rand(count, 3, 1, 1, generator=generator) - 0.5
    axis = torch.linspace(-1, 1, side)
    distance = ((axis[None, None, :] - place[:, 0]) ** 2 + (axis[None, :, None] - place[:, 1]) ** 2).sqrt()
    disc = torch.sigmoid((0.5 + place[:, 2] / 2 - distance) * 10)[:, None]
    return ((disc * colour + (1 - disc) * ground) * 255).round().to(torch.uint8)


def spaces() -> list[ImageSpace]:
    kept = thumbnails()
    return [make_space(name, SIDE, kept, components=12) for name in ("pixels", "fourier", "faces")]


@pytest.mark.parametrize("number", range(3))
def test_coordinates_lead_back(number: int) -> None:
    space = spaces()[number]
    picture = thumbnails(4).float() / 255 * 0.96 + 0.02
    once = space.picture(space.coordinates(picture))
    again = space.picture(space.coordinates(once))
    assert once.shape == (4, 3, SIDE, SIDE)
    assert 0 <= float(once.min()) <= float(once.max()) <= 1
    assert float((once - again).abs().mean()) < 0.005  # mixtures of faces are cut to 0..1
    if not isinstance(space, FaceSpace):
        assert torch.allclose(once, picture, atol=1e-3)


@pytest.mark.parametrize("number", range(3))
def test_gradients_reach_every_coordinate(number: int) -> None:
    space = spaces()[number]
    coordinates = space.coordinates(thumbnails(2).float() / 255 * 0.9 + 0.05).requires_grad_()
    weights = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    (space.picture(coordinates) * weights).sum().backward()
    assert coordinates.grad is not None
    assert float((coordinates.grad.abs() > 0).float().mean()) > 0.9


@pytest.mark.parametrize("number", range(3))
def test_less_detail_is_smoother(number: int) -> None:
    space = spaces()[number]
    noise = torch.randn(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) / 10
    coordinates = space.coordinates((thumbnails(6).float() / 255 + noise).clamp(0, 1))
    fine, coarse = (space.picture(coordinates, share) for share in (1.0, 0.25))

    def steps(pictures: torch.Tensor) -> float:
        return float(pictures.diff(dim=-1).square().mean())

    assert coarse.shape == fine.shape
    assert steps(coarse) < steps(fine)


def test_faces_cannot_hold_noise() -> None:
    kept = thumbnails(60)
    space = FaceSpace.fit(SIDE, kept, 8)
    noise = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    kept_share = (space.picture(space.coordinates(noise)) - space.picture(torch.zeros(4, 8))).square().mean()
    assert float(kept_share) < 0.1 * float((noise - 0.5).square().mean())


def test_directions_are_orthonormal_ordered_and_counted_in_deviations() -> None:
    kept = thumbnails(60)
    space = FaceSpace.fit(SIDE, kept, 8)
    assert torch.allclose(space.components @ space.components.T, torch.eye(8), atol=1e-5)
    assert bool((space.spread.diff() <= 0).all())
    inside = space.coordinates(kept.float() / 255)
    assert torch.allclose(inside.square().mean(dim=0), torch.ones(8), atol=0.01)


def test_directions_do_not_depend_on_the_order_of_faces() -> None:
    kept = thumbnails(30)
    one, other = FaceSpace.fit(SIDE, kept, 6), FaceSpace.fit(SIDE, kept.flip(0), 6)
    assert torch.allclose(one.components, other.components, atol=1e-5)


def test_thumbnails_smaller_than_pictures() -> None:
    space = FaceSpace.fit(32, thumbnails(30, 16), 6)
    assert space.picture(torch.zeros(2, 6)).shape == (2, 3, 32, 32)
    assert space.coordinates(torch.rand(2, 3, 32, 32)).shape == (2, 6)


def test_no_faces_no_subspace() -> None:
    with pytest.raises(ConfigurationError, match="at least two"):
        FaceSpace.fit(SIDE, thumbnails(1))
    with pytest.raises(ConfigurationError, match="none were kept"):
        make_space("faces", SIDE, None)
    assert isinstance(make_space("fourier", SIDE, None), FourierSpace)


def test_colours_of_grey_faces_are_grey() -> None:
    grey = thumbnails(30)[:, :1].expand(-1, 3, -1, -1)
    basis = colour_basis(grey)
    strength = torch.linalg.eigvalsh(basis)
    assert float(strength[-1]) > 5 * float(strength[1])
    assert torch.allclose(basis, basis.T, atol=1e-6)


def test_high_frequencies_are_harder_to_move() -> None:
    space = FourierSpace(SIDE, power=1.0)
    coordinates = torch.zeros(1, 3, SIDE, SIDE // 2 + 1, 2)
    low, high = coordinates.clone(), coordinates.clone()
    low[0, :, 1, 0, 0] = 1
    high[0, :, SIDE // 2, SIDE // 2, 0] = 1
    change = [float((space.picture(c) - space.picture(coordinates)).norm()) for c in (low, high)]
    assert change[0] > 3 * change[1]


def test_pixels_are_cut_to_their_range() -> None:
    settled = PixelSpace(2).settled(torch.tensor([-1.0, 0.5, 2.0]))
    assert settled.tolist() == [0, 0.5, 1]
