"""Features at a chosen stride: a small network of our own, or any timm backbone, with a decoder where needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.timm_backbone import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    check_name,
    pretrained_state,
    read_state,
    statistics_or_imagenet,
)
from lightning_modules.nn.timm_levels import FeatureLevels, find_levels

STRIDES = (1, 2, 4, 8, 16, 32)
FINEST_WITHOUT_DECODER = 8  # finer levels of a backbone see too little around a cell to know what it is
DECODER_START = 16  # coarsest level that a decoder begins from
DECODER_CHANNELS = 64


class Backbone(nn.Module):
    """Base of all backbones.

    Attributes:
        num_features: Channels F of the output.
        stride: Side of an output pixel in input pixels.
    """

    def __init__(self, num_features: int, stride: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.stride = stride


class SmallBackbone(Backbone):
    """Strided convolutions, then three residual ones: 76,000 weights at width 12, to train from nothing on a CPU.

    Shape:
        - input: ``(B, in_chans, H, W)``.
        - output: ``(B, F, ceil(H / stride), ceil(W / stride))``.

    Args:
        stride: 4, 8, 16 or 32.
        in_chans: Input channels.
        width: Channels of the first convolution; they double up to fourfold.
    """

    def __init__(self, stride: int = 8, in_chans: int = 3, width: int = 12) -> None:
        steps = int(math.log2(stride))
        widths = [in_chans, *(width * min(4, 2**step) for step in range(steps))]
        super().__init__(widths[-1], stride)
        self.strided = nn.Sequential(*(_convolution(widths[i], widths[i + 1], 2) for i in range(steps)))
        self.residual = nn.ModuleList(_convolution(widths[-1], widths[-1]) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(B, in_chans, H, W)``."""
        x = self.strided(x)
        for block in self.residual:
            x = x + block(x)
        return x


class TimmBackbone(Backbone):
    """One feature level of a timm network.

    Args:
        features: A network made with ``features_only`` whose last level is the one to use.
        found: What is known of the network and of this level.

    Raises:
        ConfigurationError: In ``forward``, if the network takes images of one size alone, and these have another.
    """

    def __init__(self, features: nn.Module, found: FeatureLevels) -> None:
        super().__init__(found.channels[-1], found.reductions[-1])
        self.features = features
        self.found = found

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(B, 3, H, W)``."""
        return self.found.of_image(self.features, x)[-1]


class DecodedBackbone(Backbone):
    """Levels of a backbone joined from coarse to fine: enlarge, add the finer level, convolve.

    Args:
        levels: Maps ``(B, 3, H, W)`` to a list of features, fine to coarse.
        found: What is known of the network and of these levels.
        stride: Of the result; steps that no level gives are made by enlarging alone.
        width: Channels of the result.
    """

    def __init__(self, levels: nn.Module, found: FeatureLevels, stride: int, width: int) -> None:
        super().__init__(width, stride)
        channels, reductions = found.channels, found.reductions
        self.levels = levels
        self.found = found
        self.lateral = nn.ModuleList(nn.Conv2d(number, width, 1) for number in channels)
        self.smooth = nn.ModuleList(_convolution(width, width) for _ in channels[1:])
        self.last = _convolution(width, width) if reductions[0] > stride else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(B, 3, H, W)``."""
        size = [-(-side // self.stride) for side in x.shape[-2:]]
        levels = self.found.of_image(self.levels, x)
        joined = self.lateral[-1](levels[-1])
        for level, lateral, smooth in zip(levels[-2::-1], self.lateral[-2::-1], self.smooth[::-1], strict=True):
            joined = smooth(lateral(level) + F.interpolate(joined, size=level.shape[-2:], mode="nearest"))
        if list(joined.shape[-2:]) != size:
            joined = F.interpolate(joined, size=size, mode="nearest")
        return cast(Tensor, self.last(joined))


class _SmallLevels(nn.Module):
    """`SmallBackbone` seen as two levels, so that a decoder can refine it."""

    def __init__(self, small: SmallBackbone) -> None:
        super().__init__()
        self.small = small

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.small.strided[0](x), self.small(x)]


def build_backbone(
    name: str,
    stride: int,
    *,
    in_chans: int = 3,
    width: int = 12,
    pretrained_file: str | None = None,
) -> Backbone:
    """Make a backbone with features at ``stride``.

    ``small`` is `SmallBackbone`; any other name is a timm network with ``features_only``. From stride 8 up a level of
    the network serves as it is; below, and where the network has no such level, a decoder joins its levels.

    Args:
        name: ``small`` or a timm name.
        stride: 1, 2, 4, 8, 16 or 32.
        in_chans: Input channels.
        width: Of ``small``.
        pretrained_file: State dict of the whole timm network; see `load_backbone`.

    Raises:
        ConfigurationError: If the name or stride is unknown.
        CheckpointError: If the file does not fit.

    Example:
        >>> backbone = build_backbone("small", 8)
        >>> backbone.num_features, tuple(backbone(torch.zeros(1, 3, 20, 32)).shape)
        (48, (1, 48, 3, 4))
    """
    if stride not in STRIDES:
        raise ConfigurationError(
            f"A stride of {stride} pixels cannot be built: use one of {', '.join(map(str, STRIDES))}."
        )
    backbone = _small(stride, in_chans, width) if name == "small" else _timm(name, stride, in_chans)
    if pretrained_file is not None:
        load_backbone(backbone, name, pretrained_file)
    return backbone


def _small(stride: int, in_chans: int, width: int) -> Backbone:
    if stride >= 4:
        return SmallBackbone(stride, in_chans, width)
    small = SmallBackbone(8, in_chans, width)
    found = FeatureLevels("small", (width, small.num_features), (2, 8))
    return DecodedBackbone(_SmallLevels(small), found, stride, 2 * width)


def _timm(name: str, stride: int, in_chans: int) -> Backbone:
    check_name(name, own=("small",))
    found, build = find_levels(name, in_chans)
    reductions = found.reductions
    if stride >= FINEST_WITHOUT_DECODER and stride in reductions:
        chosen = [len(reductions) - 1 - reductions[::-1].index(stride)]
    else:
        finest = max((r for r in reductions if r <= stride), default=min(reductions))
        coarsest = max((r for r in reductions if r <= max(DECODER_START, stride)), default=max(reductions))
        chosen = [i for i, r in enumerate(reductions) if finest <= r <= coarsest]
        chosen = [i for i in chosen if reductions[i] not in reductions[i + 1 :]]  # one level a stride, the deepest
    used = found.only(chosen)
    levels = build(used.indices)
    _freeze_unused(levels, used.side or 64, in_chans)
    if stride >= FINEST_WITHOUT_DECODER and stride in reductions:
        return TimmBackbone(levels, used)
    return DecodedBackbone(levels, used, stride, DECODER_CHANNELS)


def _freeze_unused(features: nn.Module, side: int, in_chans: int) -> None:
    """Freeze what lies behind the last level: timm builds whole stages, and DDP would wait for its gradients."""
    parameters = [parameter for parameter in features.parameters() if parameter.requires_grad]
    mode = features.training
    with torch.enable_grad():
        features.eval()  # no statistic moves, no noise is drawn
        levels = features(parameters[0].new_zeros(1, in_chans, side, side))
        gradients = torch.autograd.grad(sum(level.sum() for level in levels), parameters, allow_unused=True)
    features.train(mode)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)


def load_backbone(backbone: Backbone, name: str, file: str) -> None:
    """Fill the timm network inside ``backbone`` from a local state dict; what it does not use is left out.

    Args:
        backbone: Of `build_backbone`.
        name: Its name, for the error.
        file: State dict of the whole network, as timm or torchvision publish it.

    Raises:
        ConfigurationError: If the backbone is ``small``.
        CheckpointError: If the file is unreadable, or a weight is missing or of another shape.
    """
    _fill(backbone, name, read_state(file), f"{name} in {file}")


def download_backbone(backbone: Backbone, name: str) -> None:
    """Fill the timm network inside ``backbone`` with timm's pretrained weights, from its cache or the network.

    Raises:
        ConfigurationError: If there are none for this name, or they cannot be fetched.
    """
    state = {} if name == "small" else pretrained_state(name)
    _fill(backbone, name, state, f"{name} of timm")


def _fill(backbone: Backbone, name: str, state: Mapping[str, Tensor], origin: str) -> None:
    inner = backbone.features if isinstance(backbone, TimmBackbone) else getattr(backbone, "levels", None)
    if not isinstance(inner, nn.Module) or isinstance(inner, _SmallLevels):
        raise ConfigurationError(
            f"The backbone {name!r} has no pretrained weights: leave backbone_weights out and add "
            "--model.init_args.pretrained false, or choose a network of timm."
        )
    # Feature extraction renames: some levels' names are joined by "_", some networks sit below "model.".
    given = {key.replace(".", "_"): value for key, value in state.items()}
    own = {key: key.removeprefix("model.").replace(".", "_") for key in inner.state_dict()}
    load_strictly(inner, {key: given[flat] for key, flat in own.items() if flat in given}, own, origin)


def preprocess_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of pixels in 0..1 that a backbone was made for; ``small`` is told without timm."""
    return (IMAGENET_MEAN, IMAGENET_STD) if name == "small" else statistics_or_imagenet(name)


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))
