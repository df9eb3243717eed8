"""A small distortion extractor that learns from scratch: a fixed high-pass front, then a few convolutions.

What coding does to a picture is small beside what the picture shows. A network whose first layer strides does not even
learn the quantiser from a hundred clips; high-pass residuals at full resolution, as in steganalysis, make it easy.

References:
    Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images", IEEE TIFS 2012, section II.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.nn.frozen import Freezable
from lightning_modules.video_quality.preprocess import IMAGENET_MEAN, IMAGENET_STD

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SOFT_LIMIT = 8.0  # grey levels: residuals of coding stay linear, edges of the picture saturate

_KERNELS = (
    ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0)),  # Laplacian
    ((0.0, 0.0, 0.0), (-1.0, 2.0, -1.0), (0.0, 0.0, 0.0)),  # second difference along rows
    ((0.0, -1.0, 0.0), (0.0, 2.0, 0.0), (0.0, -1.0, 0.0)),  # and along columns
    ((0.0, 0.0, 0.0), (0.0, -1.0, 1.0), (0.0, 0.0, 0.0)),  # first difference along rows: steps of blocks
    ((0.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 1.0, 0.0)),  # and along columns
)


class HighPassFront(nn.Module):
    """Luma of ImageNet-normalised patches, filtered by fixed high-pass kernels and softly limited.

    Shape:
        - input: ``(N, 3, H, W)``.
        - output: ``(N, 5, H, W)`` in (-1, 1); what each residual is in units of 8 grey levels, under tanh.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        luma = torch.tensor(LUMA) * torch.tensor(IMAGENET_STD) / SOFT_LIMIT
        kernels = torch.tensor(_KERNELS)
        # Luma and residual are both linear: one 3 x 3 convolution of the normalised RGB does the two.
        self.register_buffer("weight", kernels[:, None] * luma.view(1, 3, 1, 1), persistent=False)
        level = (torch.tensor(LUMA) * torch.tensor(IMAGENET_MEAN)).sum() / SOFT_LIMIT
        self.register_buffer("bias", kernels.sum((1, 2)) * level, persistent=False)

    @property
    def channels(self) -> int:
        """Number of residuals."""
        return len(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Residuals of ``(N, 3, H, W)``, edges replicated so that the border makes none."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return torch.tanh(F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype)))


class SmallDistortion(Freezable):
    """High-pass front, a convolution at full resolution, two that halve it, mean and deviation over the patch.

    Batch norm, not group norm: how strong the residuals of a patch are is the very thing to keep.

    Args:
        dim: Channels of the tokens.
        width: Channels of the first convolution.
        freeze: Fix weights and batch statistics for ever.
    """

    def __init__(self, dim: int = 64, width: int = 12, freeze: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.front = HighPassFront()
        self.body = nn.Sequential(
            nn.Conv2d(self.front.channels, width, 3, padding=1),  # no norm: at full resolution it costs the most
            nn.ReLU(inplace=True),
            *_layer(width, 2 * width, 2),
            *_layer(2 * width, 4 * width, 2),
        )
        self.out = nn.Linear(8 * width, dim)
        if freeze:
            self.freeze()

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens ``(N, dim)`` of ImageNet-normalised patches ``(N, 3, fs, fs)``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.body(self.front(patches.contiguous(memory_format=torch.channels_last)))
            deviation = (x.float().var((2, 3), unbiased=False) + 1e-5).sqrt().to(x.dtype)
            return cast(Tensor, self.out(torch.cat([x.mean((2, 3)), deviation], dim=1)))


def _layer(dim: int, out: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(dim, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]
