"""A frozen ResNet as matrix products and convolutions with its batch norms folded in, for small patches.

On 32-pixel patches half of a ResNet-50 works on maps of 2 x 2 and 1 x 1, where most taps of a 3 x 3 kernel fall on the
padding. There a convolution is one dense matrix product between the few places, with the same numbers in it: exact, and
as fast as the machine multiplies. All maps are channels-last, so 1 x 1 convolutions are matrix products too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.nn.frozen import FrozenBatchNorm

EARLY_PATCHES = 112  # patches at a time while maps are large: their activations stay in the cache


@dataclass(frozen=True)
class FoldedConvolution:
    """One convolution with its batch norm, on channels-last maps ``(N, H, W, C)``.

    Attributes:
        weight: ``(out, in)`` for 1 x 1, ``(out, in, k, k)`` for a true convolution, ``(places out * out, places in *
            in)`` for a dense one.
        bias: ``(out,)``, or ``(places out * out,)`` for a dense one.
        stride: Step in rows and columns.
        padding: Zeros on each side.
        dense: Size of the output map of a dense one; None otherwise.
    """

    weight: Tensor
    bias: Tensor
    stride: int
    padding: int
    dense: tuple[int, int] | None

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``(N, H, W, C)`` to ``(N, H', W', C')``."""
        if self.dense is not None:
            return F.linear(x.flatten(1), self.weight, self.bias).view(len(x), *self.dense, -1)
        if self.weight.dim() == 2:
            if self.stride > 1:
                x = x[:, :: self.stride, :: self.stride]
            shape = x.shape
            return F.linear(x.reshape(-1, shape[-1]), self.weight, self.bias).view(*shape[:-1], -1)
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, self.stride, self.padding)
        return y.permute(0, 2, 3, 1)


@dataclass(frozen=True)
class FoldedBottleneck:
    """A ResNet bottleneck: three convolutions and a shortcut."""

    convolutions: tuple[FoldedConvolution, FoldedConvolution, FoldedConvolution]
    shortcut: FoldedConvolution | None

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``(N, H, W, C)`` to ``(N, H', W', C')``."""
        first, second, third = self.convolutions
        y = third(second(first(x).relu_()).relu_())
        return y.add_(x if self.shortcut is None else self.shortcut(x)).relu_()


@dataclass(frozen=True)
class FoldedNetwork:
    """ResNet, mean over the map, L2 normalisation and projector, ready to run.

    Attributes:
        stem: First convolution; a max pooling follows it.
        early: Blocks on large maps, run over some patches at a time.
        late: Blocks on small maps, run over all patches together.
        projector: Linear layers ``(weight, bias)`` with ReLU between.
        dtype: Of the computation.
    """

    stem: FoldedConvolution
    early: tuple[FoldedBottleneck, ...]
    late: tuple[FoldedBottleneck, ...]
    projector: tuple[tuple[Tensor, Tensor], ...]
    dtype: torch.dtype

    def __call__(self, patches: Tensor) -> Tensor:
        """Tokens ``(N, dim)`` of patches ``(N, 3, H, W)``."""
        kind = patches.device.type
        with torch.autocast(kind, enabled=False):
            step = EARLY_PATCHES if kind == "cpu" else len(patches)
            x = torch.cat([self._early(patches[i : i + step]) for i in range(0, len(patches), step)])
            for block in self.late:
                x = block(x)
            x = F.normalize(x.flatten(1, 2).mean(1), dim=1)
            for number, (weight, bias) in enumerate(self.projector):
                x = F.linear(F.relu(x) if number else x, weight, bias)
        return x

    def _early(self, patches: Tensor) -> Tensor:
        x = patches.to(self.dtype, memory_format=torch.channels_last).permute(0, 2, 3, 1)
        x = self.stem(x).relu_()
        x = F.max_pool2d(x.permute(0, 3, 1, 2), 3, 2, 1).permute(0, 2, 3, 1)
        for block in self.early:
            x = block(x)
        return x


def fold_resnet(encoder: nn.Module, projector: nn.Sequential, dtype: torch.dtype, size: Sequence[int]) -> FoldedNetwork:
    """Fold a frozen timm ResNet of bottlenecks and its projector for patches of ``size`` pixels.

    Args:
        encoder: timm's ResNet with `FrozenBatchNorm`, no pooling at the end.
        projector: Linear layers without bias, each followed by a `FrozenBatchNorm`.
        dtype: Of the weights and of the computation.
        size: Rows and columns of a patch.
    """
    here = (int(size[0]), int(size[1]))
    stem, here = _fold(encoder, "conv1", "bn1", here, dtype)
    here = _output_size(here, 3, 2, 1)
    early: list[FoldedBottleneck] = []
    late: list[FoldedBottleneck] = []
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        for block in cast(nn.Sequential, encoder.get_submodule(layer)):
            folded, here = _fold_bottleneck(block, here, dtype)
            (late if layer in ("layer3", "layer4") else early).append(folded)
    linear = [module for module in projector if isinstance(module, nn.Linear)]
    norms = [module for module in projector if isinstance(module, FrozenBatchNorm)]
    projected = []
    for layer_, norm in zip(linear, norms, strict=True):
        scale, shift = norm.scale_and_shift()
        projected.append(((layer_.weight * scale[:, None]).to(dtype), shift.to(dtype)))
    return FoldedNetwork(stem, tuple(early), tuple(late), tuple(projected), dtype)


def _fold_bottleneck(
    block: nn.Module, size: tuple[int, int], dtype: torch.dtype
) -> tuple[FoldedBottleneck, tuple[int, int]]:
    shortcut: FoldedConvolution | None = None
    if getattr(block, "downsample", None) is not None:
        shortcut, _ = _fold(block, "downsample.0", "downsample.1", size, dtype)
    first, size = _fold(block, "conv1", "bn1", size, dtype)
    second, size = _fold(block, "conv2", "bn2", size, dtype)
    third, size = _fold(block, "conv3", "bn3", size, dtype)
    return FoldedBottleneck((first, second, third), shortcut), size


def _output_size(size: tuple[int, int], kernel: int, stride: int, padding: int) -> tuple[int, int]:
    rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in size)
    return rows, columns


def _fold(
    block: nn.Module, name: str, norm: str, size: tuple[int, int], dtype: torch.dtype
) -> tuple[FoldedConvolution, tuple[int, int]]:
    """Fold a block's convolution and its batch norm for maps of ``size``; returns it with the size of its output."""
    convolution = cast(nn.Conv2d, block.get_submodule(name))
    scale, shift = cast(FrozenBatchNorm, block.get_submodule(norm)).scale_and_shift()
    weight = convolution.weight * scale[:, None, None, None]
    kernel, stride, padding = convolution.kernel_size[0], convolution.stride[0], int(convolution.padding[0])
    out = _output_size(size, kernel, stride, padding)
    if kernel == 1:
        return FoldedConvolution(weight[:, :, 0, 0].to(dtype), shift.to(dtype), stride, padding, None), out
    # Dense pairs every place with every place: fewer products than the kernel's taps when the map is this small.
    if size[0] * size[1] < kernel**2 and max(size) <= 2:
        matrix = _dense_matrix(weight, size, out, stride, padding)
        return FoldedConvolution(matrix.to(dtype), shift.repeat(out[0] * out[1]).to(dtype), stride, padding, out), out
    weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
    return FoldedConvolution(weight, shift.to(dtype), stride, padding, None), out


def _dense_matrix(weight: Tensor, size: tuple[int, int], out: tuple[int, int], stride: int, padding: int) -> Tensor:
    """Convolution ``(out, in, k, k)`` on maps of ``size`` as one matrix ``(H' W' out, H W in)``."""
    channels_out, channels_in, kernel, _ = weight.shape
    matrix = weight.new_zeros(*out, channels_out, *size, channels_in)
    for row_out in range(out[0]):
        for column_out in range(out[1]):
            for row in range(size[0]):
                for column in range(size[1]):
                    y, x = row - row_out * stride + padding, column - column_out * stride + padding
                    if 0 <= y < kernel and 0 <= x < kernel:
                        matrix[row_out, column_out, :, row, column] = weight[:, :, y, x]
    return matrix.reshape(out[0] * out[1] * channels_out, size[0] * size[1] * channels_in)
