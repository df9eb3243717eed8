"""diffusers' UNet by its configuration, and how losses and sampling ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.autoencoder import Autoencoder
from lightning_modules.face_diffusion.library import diffusers
from lightning_modules.face_diffusion.losses import Predict


def unet_config(
    side: int,
    channels: Sequence[int],
    layers: int,
    attention: Sequence[int],
    classes: int | None,
    dropout: float = 0.0,
    signal: int = 3,
) -> dict[str, Any]:
    """Configuration of a `UNet2DModel` of one's own.

    Args:
        side: Of the pictures in pixels, or of the latents.
        channels: Of each level, from fine to coarse.
        layers: Residual blocks of a level.
        attention: Levels that attend, from 0.
        classes: Number of classes that it is told; None tells it none.
        dropout: Share that is dropped.
        signal: Channels of pictures or latents.

    Raises:
        ConfigurationError: If the levels halve the side too often, or channels cannot be grouped.
    """
    halvings = len(channels) - 1
    if not channels or side % 2**halvings:
        raise ConfigurationError(
            f"{'pictures' if signal == 3 else 'latents'} of {side} pixels cannot be halved {halvings} times, as "
            f"channels {list(channels)} asks; name fewer levels, or a side that can"
        )
    groups = min(8, *channels)
    if any(width % groups for width in channels):
        raise ConfigurationError(f"channels is {list(channels)}; each must be a multiple of {groups}")
    places = [number in set(attention) for number in range(len(channels))]
    return {
        "sample_size": side,
        "in_channels": signal,
        "out_channels": signal,
        "layers_per_block": layers,
        "block_out_channels": list(channels),
        "norm_num_groups": groups,
        "attention_head_dim": 8,
        "dropout": dropout,
        "down_block_types": ["AttnDownBlock2D" if here else "DownBlock2D" for here in places],
        "up_block_types": ["AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(places)],
        "add_attention": any(places),
        "num_class_embeds": classes,
    }


def build_unet(config: Mapping[str, Any]) -> nn.Module:
    """A UNet with random weights."""
    plain = {name: value for name, value in config.items() if not name.startswith("_")}
    return cast(nn.Module, diffusers().UNet2DModel(**plain))


def predict_by(unet: nn.Module, labels: Tensor | None = None) -> Predict:
    """What a UNet says of noisy samples ``(B, C, S, S)`` at their times, as losses and sampling ask for it.

    Args:
        unet: The network.
        labels: int64 ``(B,)`` where it is told classes.
    """

    def predict(noisy: Tensor, time: Tensor) -> Tensor:
        noisy = noisy.contiguous(memory_format=torch.channels_last)  # some times as fast on a CPU
        return cast(Tensor, unet(noisy, time, class_labels=labels, return_dict=False)[0])

    return predict


def side_of(unet: Mapping[str, Any], autoencoder: Autoencoder | None, source: str) -> int:
    """Side of the pictures in pixels that a UNet makes.

    Args:
        unet: Its configuration.
        autoencoder: In front of it; None for none.
        source: What gave the configuration, for the errors.

    Raises:
        ConfigurationError: If it has no side, or its channels are not those of pictures or latents.
    """
    side, ends = unet.get("sample_size"), (unet.get("in_channels", 3), unet.get("out_channels", 3))
    if not isinstance(side, int) or isinstance(side, bool) or side < 1:
        raise ConfigurationError(
            f"sample_size of the UNet of {source} is {side}; it must be the side of square samples in pixels"
        )
    wanted = 3 if autoencoder is None else autoencoder.channels
    if ends != (wanted, wanted):
        what = "RGB pictures have" if autoencoder is None else "the autoencoder's latents have"
        advice = (
            "for a model of latents name its autoencoder" if autoencoder is None else "take the one of its training"
        )
        raise ConfigurationError(
            f"the UNet of {source} goes from {ends[0]} channels to {ends[1]}, but {what} {wanted}: {advice}"
        )
    return side * (1 if autoencoder is None else autoencoder.factor)
