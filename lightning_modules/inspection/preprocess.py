"""From bytes to what the network takes: a fixed mean and deviation for each colour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.nn.timm_backbone import IMAGENET_MEAN, IMAGENET_STD


class InspectionPreprocess(nn.Module):
    """Normalise images with statistics that are saved in the checkpoint.

    They are fixed, never taken from one image: normalising each image would hide a change of light.

    Shape:
        - image: uint8 ``(B, 3, H, W)``, RGB.
        - returns: float32 of the same shape.

    Args:
        mean: Of pixels in 0..1, one value a colour.
        std: Deviation of them.

    Example:
        >>> preprocess = InspectionPreprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> preprocess(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)).unique()
        tensor([2.])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean) * 255)
        self.register_buffer("std", torch.tensor(std) * 255)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise ``(B, 3, H, W)``."""
        # Colours last: convolutions on a CPU take a third less time, and on a GPU none more.
        pixels = image.to(self.mean.dtype, memory_format=torch.channels_last)
        return (pixels - self.mean.view(3, 1, 1)).div_(self.std.view(3, 1, 1))
