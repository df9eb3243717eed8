"""Pictures as the network sees them, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_signal(pictures: Tensor) -> Tensor:
    """uint8 pictures 0..255 as float32 in -1..1; samples that are floating point already stay as they are.

    Example:
        >>> to_signal(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [-1.0, 1.0]
    """
    return pictures if pictures.is_floating_point() else pictures.float() / 127.5 - 1.0


def to_pictures(signal: Tensor) -> Tensor:
    """Float samples as the nearest uint8 pictures; what lies outside -1..1 is cut off.

    Example:
        >>> to_pictures(torch.tensor([-2.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    return ((signal.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)
