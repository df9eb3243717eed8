"""Augmentation of training faces on the device: one warp, then light; a flip changes no attribute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.images.affine import about_centre, turned

DRAWS = ("flip", "rotation", "scale", "across", "down", "contrast", "brightness")


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


def augment(images: Tensor, settings: FaceAugmentation, draws: Tensor) -> Tensor:
    """Augment a batch, each face by its own draws.

    Args:
        images: uint8 ``(B, 3, S, S)`` on any device; not changed.
        settings: What may happen.
        draws: A number in [0, 1) for each face and name of ``DRAWS``, ``(B, 7)`` on the same device.

    Returns:
        uint8 ``(B, 3, S, S)``; what comes in from outside repeats the border.
    """
    moved = torch.where((draws[:, 0] < settings.flip)[:, None, None, None], images.flip(-1), images)
    spread = 2 * draws - 1
    if settings.is_warping:
        moved = _warped(moved, spread[:, 1:5], settings)
    if max(settings.brightness, settings.contrast) > 0:
        moved = _relit(moved, spread[:, 5:, None, None, None], settings)
    return moved.round().clamp(0, 255).to(torch.uint8) if moved.is_floating_point() else moved


def _warped(images: Tensor, spread: Tensor, settings: FaceAugmentation) -> Tensor:
    from kornia.geometry.transform import warp_affine  # kornia takes a second to import

    side = images.shape[-1]
    linear = turned(settings.rotation * spread[:, 0], 1 + settings.scale * spread[:, 1])
    matrix = about_centre(linear, spread.new_full((2,), side), settings.shift * spread[:, 2:])
    warped: Tensor = warp_affine(images.float(), matrix, (side, side), padding_mode="border", align_corners=True)
    return warped


def _relit(images: Tensor, spread: Tensor, settings: FaceAugmentation) -> Tensor:
    """Scale the values around the middle grey, and shift them."""
    contrast, brightness = 1 + settings.contrast * spread[:, 0], 255 * settings.brightness * spread[:, 1]
    return (images.float() - 127.5) * contrast + 127.5 + brightness
