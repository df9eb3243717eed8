"""diffusers' UNet: one of one's own, or that of a folder which diffusers wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_diffusion.library import diffusers
from lightning_modules.face_diffusion.losses import Predict

_INDEX = "model_index.json"


class Loaded(NamedTuple):
    """What a folder of diffusers holds.

    Attributes:
        unet: Its configuration.
        scheduler: Its configuration.
        autoencoder: Its configuration; None where the model works on pixels.
    """

    unet: dict[str, Any]
    scheduler: dict[str, Any]
    autoencoder: dict[str, Any] | None


def unet_config(
    side: int, channels: Sequence[int], layers: int, attention: Sequence[int], classes: int | None, dropout: float = 0.0
) -> dict[str, Any]:
    """Configuration of a `UNet2DModel` of one's own.

    Args:
        side: Of the pictures in pixels.
        channels: Of each level, from fine to coarse.
        layers: Residual blocks of a level.
        attention: Levels that attend, from 0.
        classes: Number of classes that it is told; None tells it none.
        dropout: Share that is dropped.

    Raises:
        ConfigurationError: If the levels halve the side too often, or channels cannot be grouped.
    """
    halvings = len(channels) - 1
    if not channels or side % 2**halvings:
        raise ConfigurationError(
            f"pictures of {side} pixels cannot be halved {halvings} times, as channels {list(channels)} asks; name "
            "fewer levels, or a side that can"
        )
    groups = min(8, *channels)
    if any(width % groups for width in channels):
        raise ConfigurationError(f"channels is {list(channels)}; each must be a multiple of {groups}")
    places = [number in set(attention) for number in range(len(channels))]
    return {
        "sample_size": side,
        "in_channels": 3,
        "out_channels": 3,
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


def read_folder(folder: str) -> Loaded:
    """What stands in a folder that diffusers wrote, without its weights.

    Raises:
        CheckpointError: If a part is missing, or it is no unconditional or class-conditional picture model.
    """
    place = Path(folder).expanduser()
    index = _json(place / _INDEX) if (place / _INDEX).is_file() else {}
    if not (place / "unet" / "config.json").is_file():
        held = ", ".join(sorted(one.name for one in place.iterdir())) if place.is_dir() else "no folder"
        raise CheckpointError(
            f"{place} is no folder of a diffusion model: it needs unet/config.json and "
            f"scheduler/scheduler_config.json, as save_pretrained writes them ({held})"
        )
    unet = _json(place / "unet" / "config.json")
    if unet.get("_class_name") != "UNet2DModel":
        raise CheckpointError(
            f"{place} holds a {unet.get('_class_name')}, which is steered by text or other pictures; a UNet2DModel, "
            "free or with classes, can be tuned"
        )
    if not (place / "scheduler" / "scheduler_config.json").is_file():
        raise CheckpointError(f"{place} lacks scheduler/scheduler_config.json: copy it from where the model was saved")
    latent = next((name for name in ("vae", "vqvae") if name in index or (place / name).is_dir()), None)
    autoencoder = None
    if latent is not None:
        if not (place / latent / "config.json").is_file():
            raise CheckpointError(f"{place} works on latents but lacks {latent}/config.json: copy that folder too")
        autoencoder = {**_json(place / latent / "config.json"), "_folder": latent}
    return Loaded(unet, _json(place / "scheduler" / "scheduler_config.json"), autoencoder)


def load_unet(folder: str) -> nn.Module:
    """The UNet of a folder, with its weights; nothing is fetched.

    Raises:
        CheckpointError: If the weights cannot be read.
    """
    place = Path(folder).expanduser() / "unet"
    try:
        loaded = diffusers().UNet2DModel.from_pretrained(place, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the weights in {place} cannot be read ({' '.join(str(error).split())[:300]})"
        ) from error
    return cast(nn.Module, loaded.train())


def save_folder(folder: Path, unet: nn.Module, scheduler: Mapping[str, Any]) -> None:
    """Write a folder that diffusers' `DDIMPipeline` loads."""
    library = diffusers()
    pipeline = library.DDIMPipeline(unet=unet, scheduler=library.DDIMScheduler.from_config(dict(scheduler)))
    pipeline.save_pretrained(folder, safe_serialization=True)


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


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no object")
    return content
