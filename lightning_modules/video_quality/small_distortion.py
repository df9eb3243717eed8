"""A small distortion extractor that learns from scratch in minutes: a fixed block transform, then a few layers a block.

What coding does to a picture is small beside what the picture shows, and a network that begins at pixels spends most of
its training on finding it. A codec quantises the coefficients of a block transform; their magnitudes on a logarithmic
scale show the quantiser, blur and noise almost by themselves, whatever the contrast of the picture.

References:
    Saad, Bovik and Charrier, "Blind Image Quality Assessment: A Natural Scene Statistics Approach in the DCT Domain",
    IEEE TIP 2012, section II.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.frozen import Freezable
from lightning_modules.video_quality.preprocess import IMAGENET_MEAN, IMAGENET_STD

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BLOCK = 8  # pixels a side; the transform of H.264's High profile, MPEG-4 and JPEG
_MIDDLE_GREY = 128.0


def cosine_basis(size: int = BLOCK) -> Tensor:
    """Orthonormal two-dimensional DCT-II: row ``u * size + v`` is the basis picture (u, v), ``(size**2, size**2)``.

    Example:
        >>> basis = cosine_basis(4)
        >>> torch.allclose(basis @ basis.T, torch.eye(16), atol=1e-6)
        True
    """
    place = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * place + 1) * place[:, None] / (2 * size)) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).float()


class BlockTransformFront(nn.Module):
    """Log magnitudes of the block transform of luma: ``log(1 + |DCT|)``, in grey levels.

    Blocks start at the upper left corner of a patch; rows and columns beyond the last whole block are left out.

    Shape:
        - input: ``(N, 3, H, W)``, ImageNet-normalised, H and W at least 8.
        - output: ``(N, L, 64)`` float32, L blocks row by row.

    Raises:
        ConfigurationError: If the patches are smaller than a block.
    """

    basis: Tensor
    luma: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", cosine_basis(), persistent=False)
        luma = torch.tensor(LUMA)
        self.register_buffer("luma", luma * torch.tensor(IMAGENET_STD), persistent=False)
        self.register_buffer("offset", (luma * torch.tensor(IMAGENET_MEAN)).sum() - _MIDDLE_GREY, persistent=False)

    @property
    def channels(self) -> int:
        """Coefficients of a block."""
        return len(self.basis)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``(N, 3, H, W)``."""
        rows, columns = x.shape[2] // BLOCK, x.shape[3] // BLOCK
        if rows == 0 or columns == 0:
            raise ConfigurationError(
                f"The small distortion extractor needs fragments of at least {BLOCK} pixels, not {x.shape[3]}: "
                "raise fragment_size."
            )
        # Half precision would lose the small coefficients that tell the quantiser.
        with torch.autocast(x.device.type, enabled=False):
            luma = torch.einsum("nchw,c->nhw", x.float(), self.luma) + self.offset
            luma = luma[:, : rows * BLOCK, : columns * BLOCK]
            blocks = luma.reshape(-1, rows, BLOCK, columns, BLOCK).transpose(2, 3).reshape(-1, BLOCK**2)
            return torch.log1p((blocks @ self.basis.T).abs()).view(x.shape[0], rows * columns, -1)


class SmallDistortion(Freezable):
    """Block transform, two layers applied to each block alone, mean and deviation over the patch.

    Batch norm, not a norm over the block: how strong the coefficients of a block are is the very thing to keep.

    Args:
        dim: Channels of the tokens.
        width: Hidden channels.
        freeze: Fix weights and batch statistics for ever.
    """

    def __init__(self, dim: int = 64, width: int = 64, freeze: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.front = BlockTransformFront()
        self.body = nn.Sequential(
            nn.BatchNorm1d(self.front.channels), *_layer(self.front.channels, width), *_layer(width, width)
        )
        self.out = nn.Linear(2 * width, dim)
        if freeze:
            self.freeze()

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens ``(N, dim)`` of ImageNet-normalised patches ``(N, 3, fs, fs)``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            blocks = self.front(patches)
            x = self.body(blocks.flatten(0, 1)).view(*blocks.shape[:2], -1)
            variance, mean = torch.var_mean(x.float(), dim=1, correction=0)
            deviation = (variance + 1e-5).sqrt()  # the root has no gradient at 0
            return cast(Tensor, self.out(torch.cat([mean, deviation], dim=1).to(x.dtype)))


def _layer(dim: int, out: int) -> list[nn.Module]:
    return [nn.Linear(dim, out, bias=False), nn.BatchNorm1d(out), nn.ReLU(inplace=True)]
