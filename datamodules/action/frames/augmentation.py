"""Augmentation of training frames: rotation, zoom, shift, shear and flip in one warp on the device.

The ranges are those of Gjorjian's script ("Deep Learning Action Recognition: Drinking-Cooking"), which reads them as
Keras' ImageDataGenerator does; what comes in from outside repeats the border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.common.errors import ConfigurationError


@dataclass(frozen=True)
class ActionAugmentation:
    """What happens to training frames at random, each drawn evenly from its range.

    Args:
        rotation: Largest rotation to either side in degrees.
        zoom: Largest enlargement or reduction as a share, of width and height apart.
        shift: Largest shift as a share of the side, across and down.
        shear: Largest shear angle in degrees; Keras reads its ``shear_range`` so, and its 0.15 is next to nothing.
        flip: Flip half of the frames left to right.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    rotation: float = 30.0
    zoom: float = 0.15
    shift: float = 0.2
    shear: float = 0.15
    flip: bool = True

    def __post_init__(self) -> None:
        for name, limit in {"rotation": 180.0, "zoom": 0.9, "shift": 1.0, "shear": 80.0}.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must lie in 0..{limit:g}")

    @property
    def is_active(self) -> bool:
        """Whether anything can happen."""
        return self.flip or max(self.rotation, self.zoom, self.shift, self.shear) > 0


def augment(frames: Tensor, settings: ActionAugmentation, keys: Sequence[Sequence[int]]) -> Tensor:
    """Warp each frame; the same key gives the same draw on any device and in any batch.

    Args:
        frames: uint8 ``(B, 3, S, S)``, on any device; not changed.
        settings: What may happen.
        keys: For each frame the numbers from 0 that name its draw, for example seed, view and row.

    Returns:
        uint8 ``(B, 3, S, S)``.
    """
    if not settings.is_active or not len(frames):
        return frames
    from kornia.geometry.transform import warp_affine  # kornia takes a second to import

    height, width = frames.shape[-2:]
    draws = np.stack([np.random.default_rng(tuple(key)).random(7) for key in keys])
    matrix = torch.from_numpy(_matrices(draws, settings, height, width)).to(frames.device, torch.float32)
    warped: Tensor = warp_affine(
        frames.float(), matrix, (height, width), mode="bilinear", padding_mode="border", align_corners=True
    )
    return warped.round_().clamp_(0, 255).to(torch.uint8)


def _matrices(draws: NDArray[np.float64], settings: ActionAugmentation, height: int, width: int) -> NDArray[np.float64]:
    """Where each pixel of a frame goes, float64 ``(B, 2, 3)``, from numbers in 0..1, ``(B, 7)``."""
    spread = 2 * draws - 1
    angle = np.deg2rad(settings.rotation * spread[:, 0])
    shear = np.deg2rad(settings.shear * spread[:, 1])
    zoom_x, zoom_y = (1 + settings.zoom * spread[:, 2], 1 + settings.zoom * spread[:, 3])
    shift_x, shift_y = (settings.shift * width * spread[:, 4], settings.shift * height * spread[:, 5])
    mirrored = np.where(settings.flip & (draws[:, 6] < 0.5), -1.0, 1.0)
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    rotation = _stack([[cosine, -sine], [sine, cosine]])
    slant = _stack([[one, -np.sin(shear)], [zero, np.cos(shear)]])
    scale = _stack([[zoom_x, zero], [zero, zoom_y]])
    linear = _stack([[mirrored, zero], [zero, one]]) @ rotation @ slant @ scale
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre - linear @ centre + np.stack([shift_x, shift_y], axis=1)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _stack(entries: list[list[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Matrices ``(B, 2, 2)`` from four columns ``(B,)``."""
    return np.stack([np.stack(row, axis=-1) for row in entries], axis=-2)
