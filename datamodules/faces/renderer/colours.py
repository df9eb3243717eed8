"""Colours of drawn faces, RGB in 0..1, float32 ``(B, 3)``."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.faces.renderer.parameters import FaceParameters

_FAIR, _DEEP, _PALE = (0.90, 0.68, 0.54), (0.50, 0.33, 0.23), (0.97, 0.89, 0.86)
_HAIR = ((0.90, 0.74, 0.36), (0.72, 0.28, 0.08), (0.37, 0.21, 0.10), (0.07, 0.06, 0.07), (0.68, 0.69, 0.72))
_IRIS = ((0.22, 0.50, 0.90), (0.22, 0.62, 0.28), (0.55, 0.62, 0.66), (0.36, 0.17, 0.05))
_LIPSTICK = ((0.80, 0.03, 0.12), (0.80, 0.05, 0.45), (0.60, 0.02, 0.36))
_EYE_SHADOW = ((0.45, 0.15, 0.60), (0.10, 0.30, 0.65), (0.10, 0.45, 0.40))
_JEWELS = ((1.0, 0.81, 0.12), (0.94, 0.97, 1.0))
_FRAMES = ((0.05, 0.05, 0.06), (0.45, 0.05, 0.08), (0.10, 0.15, 0.45))


def skin_of(parameters: FaceParameters) -> Tensor:
    """Colour of the skin: from fair to deep by tone, or pale."""
    tone, hue = parameters.varied("tone")[:, None], parameters.spread("skin_hue")[:, None]
    ordinary = torch.tensor(_FAIR) * (1 - tone) + torch.tensor(_DEEP) * tone
    skin = torch.where(parameters.pale[:, None], torch.tensor(_PALE), ordinary)
    return skin + hue * torch.tensor([0.0, 0.012, 0.025])


def hair_of(parameters: FaceParameters) -> Tensor:
    """Colour of the hair."""
    shade = 0.88 + 0.24 * parameters.varied("hair_shade")[:, None]
    return torch.tensor(_HAIR)[parameters.hair_colour] * shade


def iris_of(parameters: FaceParameters) -> Tensor:
    """Colour of the iris."""
    return torch.tensor(_IRIS)[parameters.eye_colour]


def lips_of(parameters: FaceParameters) -> Tensor:
    """Colour of the lips, with or without lipstick."""
    natural = skin_of(parameters) * torch.tensor([0.80, 0.60, 0.55])
    return torch.where(parameters.lipstick[:, None], _one_of(_LIPSTICK, parameters.varied("lip_hue")), natural)


def eye_shadow_of(parameters: FaceParameters) -> Tensor:
    """Colour of the make-up above the eyes."""
    return _one_of(_EYE_SHADOW, parameters.varied("shadow_hue"))


def frame_of(parameters: FaceParameters) -> Tensor:
    """Colour of the frame of glasses."""
    return _one_of(_FRAMES, parameters.varied("frame_hue"))


def jewel_of(parameters: FaceParameters) -> Tensor:
    """Colour of earrings and necklace: gold or silver."""
    return _one_of(_JEWELS, parameters.varied("jewel"))


def hue(parameters: FaceParameters, name: str, pale: float, light: Tensor | float) -> Tensor:
    """A colour that a variation turns round the circle: ``pale`` is 0 (full) to 1 (grey), ``light`` one or ``(B,)``."""
    turn = parameters.varied(name)[:, None] + torch.tensor([0.0, 1 / 3, 2 / 3])
    bright = (((turn - turn.floor()) * 6 - 3).abs() - 1).clamp(0, 1)
    level = light[:, None] if isinstance(light, Tensor) else light
    return (bright * (1 - pale) + pale) * level


def _one_of(colours: tuple[tuple[float, float, float], ...], chance: Tensor) -> Tensor:
    return torch.tensor(colours)[(chance * len(colours)).floor().long()]
