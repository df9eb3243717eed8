"""Frames of a video in another size, by torch: enlarged for the mosaic of fragments, shrunk to key frames."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate


def enlarge(frames: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize uint8 frames ``(M, h, w, 3)`` to ``(M, height, width, 3)``, bilinear, rounded."""
    if frames.shape[1:3] == (height, width):
        return frames
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
    larger = interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)
    return np.ascontiguousarray(larger.permute(0, 2, 3, 1).numpy())


def resize_whole(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize whole frames, uint8 ``(M, H, W, 3)``, to a square of side R without keeping their shape: key frames.

    Bilinear with antialiasing: a picture of 720 lines shrinks more than six times, and plain bilinear sampling would
    read a tenth of its pixels and turn fine texture into noise that the frozen content network never saw.

    Returns:
        uint8 ``(M, 3, R, R)``.
    """
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = interpolate(planes, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    return np.ascontiguousarray(small.numpy())
