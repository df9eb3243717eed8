"""Levels of a timm network with ``features_only``: their true strides, where their channels stand, what sizes go in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.timm_backbone import fixed_side, published_side

# What lets a network of one size take others, by its family; timm refuses what a network does not know.
_ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"strict_img_size": False},
    {},
)
_TRIED = ((96, 160), (72, 88))  # height and width in pixels; the second is no multiple of what windows like
_MULTIPLE = 32
# Networks of timm have no error of their own: sizes and options that do not fit end in any of these.
_REFUSALS = (RuntimeError, AssertionError, TypeError, AttributeError, ValueError, IndexError, NotImplementedError)

Build = Callable[[Sequence[int] | None], nn.Module]


@dataclass(frozen=True)
class FeatureLevels:
    """What is known of some levels of a network, fine to coarse.

    Attributes:
        name: Of the network, for errors.
        channels: Of each level.
        reductions: Stride of each level in pixels, as measured: what timm says is not always true.
        indices: Numbers of the levels as timm counts them, which is not always from the first that it gives.
        channels_last: Levels come as ``(B, H, W, C)``.
        side: Side of the square in pixels that alone goes in; None where all sizes do.
        multiple: Of which sides must be; images are filled up to it on the right and below.
    """

    name: str
    channels: tuple[int, ...]
    reductions: tuple[int, ...]
    indices: tuple[int, ...] = ()
    channels_last: bool = False
    side: int | None = None
    multiple: int = 1

    def only(self, chosen: Sequence[int]) -> FeatureLevels:
        """The levels with these numbers."""
        every = (self.channels, self.reductions, self.indices)
        channels, reductions, indices = (tuple(values[i] for i in chosen) for values in every)
        return replace(self, channels=channels, reductions=reductions, indices=indices)

    def of_image(self, network: nn.Module, image: Tensor) -> list[Tensor]:
        """The levels of images ``(B, C, H, W)``, each ``(B, C, ceil(H / stride), ceil(W / stride))``.

        Raises:
            ConfigurationError: If the network takes images of one size alone, and these have another.
        """
        self.check_size(image)
        height, width = image.shape[-2:]
        if self.multiple > 1:
            image = functional.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        levels = []
        for level, reduction in zip(network(image), self.reductions, strict=True):
            first = level.permute(0, 3, 1, 2).contiguous() if self.channels_last else level
            size = (-(-height // reduction), -(-width // reduction))
            first = first[..., : size[0], : size[1]] if self.multiple > 1 else first
            if tuple(first.shape[-2:]) != size:  # of networks that do not pad
                first = functional.interpolate(first, size=size, mode="nearest")
            levels.append(first)
        return levels

    def check_size(self, image: Tensor) -> None:
        """Refuse images of a size that the network does not take.

        Raises:
            ConfigurationError: Naming both sizes.
        """
        if self.side is not None and tuple(image.shape[-2:]) != (self.side, self.side):
            height, width = image.shape[-2:]
            raise ConfigurationError(
                f"The backbone {self.name!r} takes images of {self.side} x {self.side} pixels alone, but these have "
                f"{width} x {height}: set data.crop_size and model.tile_size to {self.side}, or choose another one."
            )


def find_levels(name: str, in_chans: int) -> tuple[FeatureLevels, Build]:
    """Levels of a network, and what builds it with some of them; nothing is computed, shapes alone are looked at.

    Raises:
        ConfigurationError: If the network gives no feature maps.

    Example:
        >>> find_levels("resnet18", 3)[0].reductions
        (2, 4, 8, 16, 32)
    """
    fixed: tuple[FeatureLevels, Build] | None = None
    problem: Exception | None = None
    for options in _ANY_SIZE if fixed_side(name) is not None else ({},):
        build = _builder(name, in_chans, options)
        try:
            with torch.device("meta"):
                network = build(None).eval()
            side = fixed_side(name) or published_side(name) or 224
            found = _measure(network, name, side, in_chans)
        except _REFUSALS as error:
            problem = error
            continue
        if _takes(network, _TRIED[0], in_chans):
            odd = _takes(network, _TRIED[1], in_chans)
            return found if odd else replace(found, multiple=_MULTIPLE), build
        fixed = fixed or (replace(found, side=side), build)
    if fixed is None:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise ConfigurationError(
            f"The timm network {name!r} gives no feature maps ({reason}): use one that works with features_only."
        ) from problem
    return fixed


def _builder(name: str, in_chans: int, options: dict[str, Any]) -> Build:
    import timm  # slow to import, and of no use to other networks

    def build(indices: Sequence[int] | None) -> nn.Module:
        # timm leaves out what is None: then all levels are built.
        made: nn.Module = timm.create_model(name, features_only=True, in_chans=in_chans, out_indices=indices, **options)
        return made

    return build


def _measure(network: nn.Module, name: str, side: int, in_chans: int) -> FeatureLevels:
    info: Any = network.feature_info
    channels = list(info.channels())
    shapes = [tuple(level.shape) for level in _levels(network, side, side, in_chans)]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(f"its levels have the shapes {shapes}")
    last = all(shape[1] != wanted and shape[3] == wanted for shape, wanted in zip(shapes, channels, strict=True))
    sides = [shape[1] if last else shape[2] for shape in shapes]
    # Networks that do not pad are a little short: the nearest power of two is their stride.
    reductions = tuple(2 ** round(torch.tensor(side / own).log2().item()) for own in sides)
    widths = tuple(shape[3] if last else shape[1] for shape in shapes)
    return FeatureLevels(name, widths, reductions, tuple(info.out_indices), last)


def _takes(network: nn.Module, size: tuple[int, int], in_chans: int) -> bool:
    try:
        _levels(network, *size, in_chans)
    except _REFUSALS:
        return False
    return True


def _levels(network: nn.Module, height: int, width: int, in_chans: int) -> list[Tensor]:
    with torch.no_grad():
        return list(network(torch.zeros(1, in_chans, height, width, device="meta")))
