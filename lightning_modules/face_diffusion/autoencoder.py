"""An autoencoder of diffusers in front of a UNet: pictures as latents and back (Rombach et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import tensors_digest
from datamodules.common.seeded_draws import normals
from lightning_modules.face_diffusion.library import diffusers
from lightning_modules.face_diffusion.preprocess import to_pictures, to_signal
from lightning_modules.nn.frozen import Freezable

KINDS = ("AutoencoderKL", "VQModel")


class Autoencoder(Freezable):
    """A frozen autoencoder; always in full precision, since published ones overflow in half.

    Args:
        config: Of an `AutoencoderKL` or `VQModel` of diffusers, named in ``_class_name``.
        network: With its weights; None builds one with random weights.

    Attributes:
        factor: Pixels of a side for one latent.
        channels: Of the latents.

    Raises:
        ConfigurationError: If it is another kind, or does not take RGB pictures.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, config: Mapping[str, Any], network: nn.Module | None = None) -> None:
        super().__init__()
        kind = config.get("_class_name")
        if kind not in KINDS:
            raise ConfigurationError(
                f"the autoencoder is a {kind}, and {' and '.join(KINDS)} can stand before a network: give one of these"
            )
        self.config = dict(config)
        plain = {name: value for name, value in config.items() if not name.startswith("_")}
        self.network = getattr(diffusers(), kind)(**plain) if network is None else network
        said = cast(Any, self.network).config
        if (said.in_channels, said.out_channels) != (3, 3):
            raise ConfigurationError(
                f"the autoencoder goes from {said.in_channels} channels to {said.out_channels}, but pictures have 3: "
                "give one of RGB pictures"
            )
        self.factor = 2 ** (len(said.block_out_channels) - 1)
        self.channels = int(said.get("vq_embed_dim") or said.latent_channels)
        mean, std = said.get("latents_mean"), said.get("latents_std")
        shift = torch.tensor(mean if mean is not None else [said.get("shift_factor") or 0.0])
        scale = said.scaling_factor / torch.tensor(std if std is not None else [1.0])
        self.register_buffer("shift", shift.reshape(-1, 1, 1), persistent=False)
        self.register_buffer("scale", scale.reshape(-1, 1, 1), persistent=False)
        self.freeze()

    @torch.no_grad()
    def encode(self, pictures: Tensor, keys: Tensor) -> Tensor:
        """Latents, float32 ``(B, C, S / factor, S / factor)``, of uint8 pictures ``(B, 3, S, S)``.

        Args:
            pictures: The pictures.
            keys: int64 ``(B,)``; which of a picture's latents is drawn follows from its key. A `VQModel` draws none.
        """
        with torch.autocast(pictures.device.type, enabled=False):
            said = cast(Any, self.network).encode(to_signal(pictures))
        if "latent_dist" in said:
            spread = said.latent_dist
            latents = spread.mean + spread.std * normals(keys, "latent", spread.mean.shape[1:]).to(spread.mean)
        else:
            latents = said.latents
        return cast(Tensor, (latents - self.shift) * self.scale)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, uint8 ``(B, 3, S, S)``, of latents."""
        return to_pictures(self.shown(latents))

    def shown(self, latents: Tensor) -> Tensor:
        """Pictures as float32 around -1..1, with their gradient."""
        with torch.autocast(latents.device.type, enabled=False):
            said = cast(Any, self.network).decode(latents.float() / self.scale + self.shift)
        return cast(Tensor, said.sample)

    @cached_property
    def identity(self) -> str:
        """Changes with its weights."""
        return tensors_digest(self.network.state_dict())
