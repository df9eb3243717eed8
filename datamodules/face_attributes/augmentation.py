"""Augmentation of training faces on the device: one warp, then light; a flip changes no attribute."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.settings import argument, settings
from datamodules.images.affine import about_centre, turned

DRAWS = ("flip", "rotation", "scale", "across", "down", "contrast", "brightness")


@settings
class FaceAugmentation:
    """What happens to training faces at random, each drawn evenly from its range."""

    flip: float = argument(default=0.5, help="Share of the faces that are flipped left to right.", low=0, high=1)
    shift: float = argument(default=0.04, help="Largest shift as a share of the side, across and down.", low=0, high=1)
    scale: float = argument(default=0.05, help="Largest enlargement or reduction as a share.", low=0, high=0.9)
    rotation: float = argument(default=5.0, help="Largest rotation to either side in degrees.", low=0, high=180)
    brightness: float = argument(
        default=0.05, help="Largest change of the brightness as a share of full scale.", low=0, high=1
    )
    contrast: float = argument(default=0.1, help="Largest change of the contrast as a share.", low=0, high=1)

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
