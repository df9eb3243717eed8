"""What a picture is charged for besides missing its target, a number a picture, and the blur that the paper uses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# The original's kernel, a hair of smoothing a step: (1 2 1; 2 188 2; 1 2 1) / 200.
_BLUR = ((1.0, 2.0, 1.0), (2.0, 188.0, 2.0), (1.0, 2.0, 1.0))


def total_variation(pictures: Tensor, power: float = 2.0) -> Tensor:
    """Mean size of the step from a pixel to its right and lower neighbours.

    Args:
        pictures: float ``(B, 3, H, W)`` in 0..1.
        power: 2 charges strong edges most; 1 leaves them and flattens the rest.

    Returns:
        float ``(B,)``.

    References:
        Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015, section 2.

    Example:
        >>> total_variation(torch.ones(1, 3, 4, 4))
        tensor([0.])
    """
    right = pictures[:, :, :-1, 1:] - pictures[:, :, :-1, :-1]
    down = pictures[:, :, 1:, :-1] - pictures[:, :, :-1, :-1]
    squares = right.square() + down.square()
    steps = squares if power == 2 else (squares + 1e-8) ** (power / 2) - 1e-8 ** (power / 2)
    return steps.flatten(1).mean(dim=1)


def alpha_norm(pictures: Tensor, alpha: float = 6.0) -> Tensor:
    """Mean of ``|2 x - 1| ** alpha``: nearly free within the range of pictures, dear at its ends; 2 is the plain L2.

    Returns:
        float ``(B,)``.
    """
    return (2 * pictures - 1).abs().pow(alpha).flatten(1).mean(dim=1)


def asymmetry(pictures: Tensor) -> Tensor:
    """Mean squared difference of pictures and their mirror images, ``(B,)``.

    Example:
        >>> asymmetry(torch.tensor([0.0, 1.0, 0.0]).expand(1, 3, 3, 3))
        tensor([0.])
    """
    return (pictures - pictures.flip(-1)).square().flatten(1).mean(dim=1)


def unlikeliness(coordinates: Tensor) -> Tensor:
    """Mean square of coordinates in standard deviations, ``(B,)``: 1 for a usual face, more for a strange one."""
    return coordinates.square().flatten(1).mean(dim=1)


def slight_blur(pictures: Tensor) -> Tensor:
    """Blur with the 3 x 3 kernel that the paper's authors apply after every step; the border is repeated outwards.

    Example:
        >>> bool(torch.allclose(slight_blur(torch.ones(1, 3, 5, 5)), torch.ones(1, 3, 5, 5)))
        True
    """
    kernel = torch.tensor(_BLUR, dtype=pictures.dtype, device=pictures.device) / 200
    channels = pictures.shape[1]
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels)
