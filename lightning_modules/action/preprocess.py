"""From bytes to what the backbone takes: one size, one normalisation, both saved in the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.nn.timm_backbone import IMAGENET_MEAN, IMAGENET_STD

KERAS_MEAN = (123.68, 116.779, 103.939)  # of pixels in 0..255, RGB, as the original script writes it

Preprocessing = Literal["normalised", "legacy"]


class ActionPreprocess(nn.Module):
    """Resize frames where needed, and normalise them.

    ``normalised`` does the same in training and in prediction. ``legacy`` repeats what the original script did by
    mistake: pixels of 0..255 as they are while training, validating and testing, and a mean subtracted in prediction.

    Shape:
        - frames: uint8 ``(B, 3, H, W)``, RGB.
        - returns: float32 ``(B, 3, size, size)``, channels last in memory.

    Args:
        mean: Of pixels in 0..1, one value a colour.
        std: Deviation of them.
        size: Side of the result in pixels; the aspect ratio is not kept.
        mode: ``normalised`` or ``legacy``.

    Example:
        >>> preprocess = ActionPreprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), size=2)
        >>> preprocess(torch.full((1, 3, 4, 2), 255, dtype=torch.uint8)).mean().round(decimals=4)
        tensor(2.)

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking".
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int = 224,
        mode: Preprocessing = "normalised",
    ) -> None:
        super().__init__()
        legacy = mode == "legacy"
        self.mode = mode
        self.side = size
        self.register_buffer(
            "mean", torch.tensor(KERAS_MEAN if legacy else mean, dtype=torch.float32) * (1 if legacy else 255)
        )
        self.register_buffer("std", torch.ones(3) if legacy else torch.tensor(std, dtype=torch.float32) * 255)

    def forward(self, frames: Tensor, predicting: bool = False) -> Tensor:
        """Resize and normalise ``(B, 3, H, W)``.

        Args:
            frames: uint8, RGB.
            predicting: Whether the network predicts; only ``legacy`` treats that in another way.
        """
        # Colours last: convolutions are faster so, on a CPU and in half precision on a GPU.
        pixels = frames.to(self.mean.dtype, memory_format=torch.channels_last)
        if pixels.shape[-2:] != (self.side, self.side):
            pixels = F.interpolate(pixels, (self.side, self.side), mode="bilinear", antialias=True)
        if self.mode == "legacy" and not predicting:
            return pixels
        return (pixels - self.mean.view(3, 1, 1)).div_(self.std.view(3, 1, 1))
