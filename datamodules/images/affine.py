"""Matrices of random warps: what turns, slants and scales a picture about its centre, and shifts it."""

from __future__ import annotations

import torch
from torch import Tensor


def turned(degrees: Tensor, scale: Tensor) -> Tensor:
    """Rotation by degrees ``(B,)`` and scale ``(B,)``, as ``(B, 2, 2)``."""
    angle = torch.deg2rad(degrees)
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    return square([[cosine, -sine], [sine, cosine]])


def square(entries: list[list[Tensor]]) -> Tensor:
    """Matrices ``(B, 2, 2)`` from four columns ``(B,)``."""
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def about_centre(linear: Tensor, size: Tensor, shift: Tensor) -> Tensor:
    """Where each pixel goes, between centres of pixels, ``(B, 2, 3)``.

    Args:
        linear: ``(B, 2, 2)``.
        size: Width and height of the pictures in pixels, ``(B, 2)`` or ``(2,)``.
        shift: As a share of width and height, ``(B, 2)``.
    """
    centre = ((size - 1) / 2).expand(len(linear), 2)
    offset = centre - (linear @ centre[:, :, None])[:, :, 0] + shift * size
    return torch.cat([linear, offset[:, :, None]], dim=2)
