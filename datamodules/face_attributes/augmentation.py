"""Augmentation of training faces on the device: one warp, then light; a flip changes no attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.common.errors import ConfigurationError


@dataclass(frozen=True)
class FaceAugmentation:
    """What happens to training faces at random, each drawn evenly from its range.

    Args:
        flip: Share of the faces that are flipped left to right.
        shift: Largest shift as a share of the side, across and down.
        scale: Largest enlargement or reduction as a share.
        rotation: Largest rotation to either side in degrees.
        brightness: Largest change of the brightness as a share of full scale.
        contrast: Largest change of the contrast as a share.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    flip: float = 0.5
    shift: float = 0.04
    scale: float = 0.05
    rotation: float = 5.0
    brightness: float = 0.05
    contrast: float = 0.1

    def __post_init__(self) -> None:
        limits = {"flip": 1.0, "shift": 1.0, "scale": 0.9, "rotation": 180.0, "brightness": 1.0, "contrast": 1.0}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must lie in 0..{limit:g}")

    @property
    def is_warping(self) -> bool:
        """Whether pixels fall between pixels."""
        return max(self.shift, self.scale, self.rotation) > 0


def augment(images: Tensor, settings: FaceAugmentation, keys: Sequence[int]) -> Tensor:
    """Augment a batch; the same keys give the same result on any device.

    Args:
        images: uint8 ``(B, 3, S, S)`` on any device; not changed.
        settings: What may happen.
        keys: Numbers from 0 that name the draw: seed, rank, step.

    Returns:
        uint8 ``(B, 3, S, S)``; what comes in from outside repeats the border.
    """
    draws = np.random.default_rng(tuple(keys)).random((len(images), 7))
    flipped = torch.from_numpy(draws[:, 0] < settings.flip).to(images.device)
    moved = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    if settings.is_warping:
        moved = _warped(moved, _matrices(draws[:, 1:5], settings, images.shape[-1]))
    if max(settings.brightness, settings.contrast) > 0:
        moved = _relit(moved, draws[:, 5:], settings)
    return moved.round().clamp(0, 255).to(torch.uint8) if moved.is_floating_point() else moved


def _warped(images: Tensor, matrices: NDArray[np.float64]) -> Tensor:
    from kornia.geometry.transform import warp_affine  # kornia takes a second to import

    side = images.shape[-1]
    matrix = torch.from_numpy(matrices).to(images.device, torch.float32)
    warped: Tensor = warp_affine(images.float(), matrix, (side, side), padding_mode="border", align_corners=True)
    return warped


def _matrices(draws: NDArray[np.float64], settings: FaceAugmentation, side: int) -> NDArray[np.float64]:
    """Where each pixel goes, float64 ``(B, 2, 3)``, from numbers in 0..1, ``(B, 4)``."""
    spread = 2 * draws - 1
    angle = np.deg2rad(settings.rotation * spread[:, 0])
    scale = 1 + settings.scale * spread[:, 1]
    linear = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    linear = linear * scale[:, None, None]
    centre = np.full(2, (side - 1) / 2)
    offset = centre - linear @ centre + settings.shift * side * spread[:, 2:]
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _relit(images: Tensor, draws: NDArray[np.float64], settings: FaceAugmentation) -> Tensor:
    """Scale the values around the middle grey, and shift them."""
    spread = torch.from_numpy(2 * draws - 1).to(images.device, torch.float32)[:, :, None, None, None]
    contrast, brightness = 1 + settings.contrast * spread[:, 0], 255 * settings.brightness * spread[:, 1]
    return (images.float() - 127.5) * contrast + 127.5 + brightness
