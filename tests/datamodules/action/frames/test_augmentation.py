"""Warps of training frames."""

from __future__ import annotations

import pytest
import torch

from datamodules.action.frames.augmentation import DRAWS, ActionAugmentation, augment
from datamodules.common.seeded_draws import row_draws

STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "flip": False}


def smooth(rows: int = 4, side: int = 32) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    planes = [127 + 100 * torch.sin((x + 3 * i) / 5 + y / 7) for i in range(3 * rows)]
    return torch.stack(planes).reshape(rows, 3, side, side).to(torch.uint8)


def draws(rows: int, view: int = 0) -> torch.Tensor:
    return row_draws(DRAWS, 0, view, torch.arange(rows))


def test_same_row_same_draw_in_any_batch() -> None:
    frames = smooth()
    whole = augment(frames, ActionAugmentation(), draws(4))
    assert whole.dtype == torch.uint8
    assert whole.shape == frames.shape
    assert torch.equal(whole[2:], augment(frames[2:], ActionAugmentation(), draws(4)[2:]))
    assert not torch.equal(whole, augment(frames, ActionAugmentation(), draws(4, view=1)))
    assert not torch.equal(whole, frames)


def test_nothing_happens_where_nothing_may() -> None:
    frames = smooth()
    assert augment(frames, ActionAugmentation(**STILL), draws(4)) is frames  # type: ignore[arg-type]
    none = frames[:0]
    assert len(augment(none, ActionAugmentation(), draws(0))) == 0


def test_flip_is_exact() -> None:
    frames = smooth(16)
    flipped = augment(frames, ActionAugmentation(**{**STILL, "flip": True}), draws(16))  # type: ignore[arg-type]
    sides = [
        "same" if torch.equal(a, b) else "mirrored" if torch.equal(a, b.flip(-1)) else "neither"
        for a, b in zip(frames, flipped, strict=True)
    ]
    assert set(sides) == {"same", "mirrored"}


def test_border_is_repeated() -> None:
    frames = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    frames[...] = torch.tensor([10, 120, 250], dtype=torch.uint8)[:, None, None]
    assert torch.equal(augment(frames, ActionAugmentation(shift=0.9), draws(8)), frames)


@pytest.mark.parametrize("name", ["rotation", "zoom", "shift", "shear"])
def test_ranges(name: str) -> None:
    """A dot moves as far as the range allows, and no further."""
    side, rows = 65, 200
    reach = {"rotation": 30.0, "zoom": 0.3, "shift": 0.2, "shear": 30.0}[name]
    frames = torch.zeros(rows, 3, side, side, dtype=torch.uint8)
    frames[:, :, 16, 32] = 255  # 16 pixels above the centre
    moved = augment(frames, ActionAugmentation(**{**STILL, name: reach}), draws(rows))[:, 0].float()  # type: ignore[arg-type]
    weight = moved.sum(dim=(1, 2))
    x = (moved.sum(dim=1) * torch.arange(side)).sum(dim=1) / weight - 32
    y = (moved.sum(dim=2) * torch.arange(side)).sum(dim=1) / weight - 32
    if name == "rotation":
        angle = torch.rad2deg(torch.atan2(x, -y))
        assert 28 < angle.max() <= 31
        assert -31 <= angle.min() < -28
    elif name == "zoom":
        assert -16 * 1.3 - 0.5 <= y.min() < -16 * 1.25
        assert -16 * 0.75 < y.max() <= -16 * 0.7 + 0.5
        assert x.abs().max() < 0.2
    elif name == "shift":
        assert 0.18 * side < x.abs().max() <= 0.2 * side + 0.1
    else:
        assert 7.5 < x.abs().max() <= 8.1  # 16 sin(30 degrees)
