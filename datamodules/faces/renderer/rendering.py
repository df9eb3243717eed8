"""Render faces from parameters: many at once, the same bytes in any batch."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.renderer import features as face_features
from datamodules.faces.renderer import head as face_head
from datamodules.faces.renderer import light as face_light
from datamodules.faces.renderer import surroundings as face_surroundings
from datamodules.faces.renderer import wear as face_wear
from datamodules.faces.renderer.canvas import Canvas
from datamodules.faces.renderer.parameters import FaceParameters
from datamodules.faces.renderer.settings import LARGEST_SIDE, SMALLEST_SIDE

_PIXELS = 64 * 64 * 48  # worked on at once: what a core's cache holds


@torch.no_grad()
def render(parameters: FaceParameters, size: int) -> Tensor:
    """Draw B faces of height and width S, 32 to 256 pixels.

    Returns:
        uint8 ``(B, 3, S, S)``, RGB.

    Raises:
        ConfigurationError: If the size is out of its range.
    """
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE:
        raise ConfigurationError(
            f"A face cannot be drawn {size} pixels wide: the side is {SMALLEST_SIDE} to {LARGEST_SIDE} pixels."
        )
    together = max(1, _PIXELS // (size * size))
    parts = [
        _draw(parameters.rows(slice(start, start + together)), size) for start in range(0, len(parameters), together)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, 3, size, size, dtype=torch.uint8)


def _draw(parameters: FaceParameters, size: int) -> Tensor:
    """From what is farthest to what is nearest, then the light."""
    canvas = Canvas(parameters, size)
    face_surroundings.paint_background(canvas)
    face_surroundings.paint_clothes(canvas)
    face_surroundings.paint_necklace(canvas)
    face_head.paint_head(canvas)
    face_features.paint_skin(canvas)
    face_head.paint_beard(canvas)
    face_features.paint_nose(canvas)
    face_features.paint_mouth(canvas)
    face_features.paint_eyes(canvas)
    face_head.paint_hair(canvas)
    face_wear.paint_earrings(canvas)
    face_wear.paint_glasses(canvas)
    face_head.paint_hat(canvas)
    face_light.light(canvas)
    return face_light.develop(canvas)
