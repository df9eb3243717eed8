"""Augmentation of training frames: rotation, zoom, shift, shear and flip in one warp on the device.

The ranges are those of Gjorjian's script ("Deep Learning Action Recognition: Drinking-Cooking"), which reads them as
Keras' ImageDataGenerator does; what comes in from outside repeats the border.
"""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.settings import argument, settings
from datamodules.images.affine import about_centre, square, turned

DRAWS = ("rotation", "shear", "zoom across", "zoom down", "across", "down", "flip")


@settings
class ActionAugmentation:
    """What happens to training frames at random, each drawn evenly from its range."""

    rotation: float = argument(default=30.0, help="Largest rotation to either side in degrees.", low=0, high=180)
    zoom: float = argument(
        default=0.15, help="Largest enlargement or reduction as a share, of width and height apart.", low=0, high=0.9
    )
    shift: float = argument(default=0.2, help="Largest shift as a share of the side, across and down.", low=0, high=1)
    shear: float = argument(
        default=0.15,
        help="Largest shear angle in degrees; Keras reads its ``shear_range`` so, and its 0.15 is next to nothing.",
        low=0,
        high=80,
    )
    flip: bool = argument(default=True, help="Flip half of the frames left to right.")

    @property
    def is_active(self) -> bool:
        """Whether anything can happen."""
        return self.flip or max(self.rotation, self.zoom, self.shift, self.shear) > 0


def augment(frames: Tensor, settings: ActionAugmentation, draws: Tensor) -> Tensor:
    """Warp each frame by its own draws.

    Args:
        frames: uint8 ``(B, 3, S, S)``, on any device; not changed.
        settings: What may happen.
        draws: A number in [0, 1) for each frame and name of ``DRAWS``, ``(B, 7)`` on the same device.

    Returns:
        uint8 ``(B, 3, S, S)``.
    """
    if not settings.is_active or not len(frames):
        return frames
    from kornia.geometry.transform import warp_affine  # kornia takes a second to import

    height, width = frames.shape[-2:]
    matrix = _matrices(draws, settings, height, width)
    warped: Tensor = warp_affine(
        frames.float(), matrix, (height, width), mode="bilinear", padding_mode="border", align_corners=True
    )
    return warped.round_().clamp_(0, 255).to(torch.uint8)


def _matrices(draws: Tensor, settings: ActionAugmentation, height: int, width: int) -> Tensor:
    """Where each pixel of a frame goes, ``(B, 2, 3)``."""
    spread = 2 * draws - 1
    one, zero = torch.ones_like(draws[:, 0]), torch.zeros_like(draws[:, 0])
    shear = torch.deg2rad(settings.shear * spread[:, 1])
    slant = square([[one, -shear.sin()], [zero, shear.cos()]])
    zoom = 1 + settings.zoom * spread[:, 2:4]
    mirror = torch.where(draws[:, 6] < 0.5, -one, one) if settings.flip else one
    rotation = turned(settings.rotation * spread[:, 0], one)
    linear = square([[mirror, zero], [zero, one]]) @ rotation @ slant * zoom[:, None]
    return about_centre(linear, draws.new_tensor([width, height]), settings.shift * spread[:, 4:6])
