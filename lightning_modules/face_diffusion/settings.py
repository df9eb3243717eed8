"""Arguments of `RewardTunedDiffusion`."""

from __future__ import annotations

import math
from typing import Any, Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.base import MethodSettings
from lightning_modules.face_diffusion.schedule import BetaSchedule, PredictionType, SamplerName
from lightning_modules.nn.adapters import Adapters


@settings
class DiffusionSettings(MethodSettings):
    """Arguments of `RewardTunedDiffusion`."""

    weights: str | None = argument(
        default=None,
        help=(
            "What a tuning begins from: a checkpoint that a run of this method wrote, or a folder of diffusers' "
            "save_pretrained. Network and schedule are those that it holds."
        ),
        saved=False,
    )
    image_size: int = argument(default=16, help="Side of the pictures in pixels.", low=4)
    channels: tuple[int, ...] = argument(default=(32, 64, 64), help="Channels of each level, from fine to coarse.")
    layers_per_level: int = argument(default=1, help="Residual blocks of a level.", low=1)
    attention_levels: tuple[int, ...] = argument(default=(2,), help="Levels that attend, from 0, the finest.")
    class_names: list[str] | None = argument(
        default=None, help="Classes that the network is told; None makes a model without classes."
    )
    prediction_type: PredictionType = argument(
        default="v_prediction", help="What the network says of noisy pictures: velocity, or the noise."
    )
    beta_schedule: BetaSchedule = argument(
        default="squaredcos_cap_v2", help="How the noise grows, by its name in diffusers."
    )
    noise_steps: int = argument(default=1000, help="Time steps of the noise.", low=1)
    unet: dict[str, Any] | None = argument(
        default=None, help="A whole configuration of diffusers' UNet2DModel, in place of the options above."
    )
    noise_schedule: dict[str, Any] | None = argument(
        default=None, help="A whole configuration of a diffusers scheduler, likewise."
    )
    autoencoder: str | None = argument(
        default=None,
        help=(
            "Folder of diffusers' AutoencoderKL or VQModel: the network denoises its latents. A model in weights that "
            "works on latents brings its own."
        ),
        saved=False,
    )
    autoencoder_config: dict[str, Any] | None = argument(
        default=None,
        help="Its whole configuration, in place of a folder: one with random weights, for a checkpoint to fill.",
    )
    train_only: list[str] | None = argument(
        default=None,
        help=(
            "Patterns of the parts of the network that learn, such as mid_block or *.attentions; the others stay as "
            "they are, bit for bit. None: all learn, or with adapters nothing but these."
        ),
    )
    adapter_rank: int | None = argument(
        default=None,
        help="Learn low-rank adapters of this rank beside frozen layers (LoRA); saved folders have them merged.",
        low=1,
    )
    adapter_targets: tuple[str, ...] = argument(
        default=("*.to_q", "*.to_k", "*.to_v", "*.to_out"),
        help="Patterns of the linear or convolutional layers with an adapter: by default what attention projects by.",
    )
    adapter_alpha: float | None = argument(
        default=None, help="Scale of the adapters times their rank; None takes the rank, a scale of 1.", low=0
    )
    gamma: float | None = argument(
        default=None,
        help=(
            "Weight of the loss on real pictures beside that of rewarded samples, 0 or more; None (or inf) is plain "
            "training on the data, and needs no rewards. It pulls shares back to those of the data, and copies back "
            "where the data are the training pictures."
        ),
        low=0,
    )
    reward_from: float = argument(
        default=0.0,
        help=(
            "Share of the time steps, the least noisy ones, at which samples teach nothing: what a picture shows is "
            "decided where noise is large, and where it is small samples teach their own flaws alone."
        ),
        low=0,
        high=0.99,
    )
    sampling_steps: int = argument(default=20, help="Network passes of a sample.", low=1, free=True)
    sampler: SamplerName | Literal["auto"] = argument(
        default="auto",
        help=(
            "How passes are used: dpm is DPM-Solver++ (20 steps make drawn faces as real as 50 of ddim), and auto is "
            "dpm unless eta asks for noise."
        ),
        free=True,
    )
    eta: float = argument(
        default=0.0, help="Noise on the way of a sample by ddim: 0 none, 1 as much as DDPM.", low=0, high=1, free=True
    )
    learning_rate: float = argument(default=1e-3, help="Of AdamW.", low=0)
    weight_decay: float = argument(default=0.0, help="Of AdamW.", low=0)

    @property
    def own_sampler(self) -> SamplerName:
        """How samples are drawn."""
        if self.sampler == "auto":
            return "ddim" if self.eta > 0 else "dpm"
        return self.sampler

    @property
    def is_tuned(self) -> bool:
        """Whether samples of its own take part in the loss."""
        return self.gamma is not None and not math.isinf(self.gamma)

    @property
    def adapters(self) -> Adapters | None:
        """Adapters that learn; None for none."""
        if self.adapter_rank is None:
            return None
        return Adapters(self.adapter_rank, self.adapter_alpha, self.adapter_targets)

    def check(self) -> None:
        """Refuse two sources of one network, a network of which nothing learns, and noise that no sampler draws."""
        if self.sampler == "dpm" and self.eta > 0:
            raise ConfigurationError(
                f"eta is {self.eta:g}, and sampler dpm draws no noise on the way: take ddim, or auto"
            )
        if self.weights is not None and (self.unet is not None or self.noise_schedule is not None):
            raise ConfigurationError(
                f"weights {self.weights} brings its own network and schedule; leave unet and noise_schedule out"
            )
        if self.autoencoder_config is not None and (self.weights is not None or self.autoencoder is not None):
            raise ConfigurationError(
                "autoencoder_config makes an autoencoder with random weights, in the place of that of weights or "
                "autoencoder: leave it out"
            )
        if self.train_only == [] or (self.adapter_rank is not None and not self.adapter_targets):
            empty = "train_only" if self.train_only == [] else "adapter_targets"
            raise ConfigurationError(f"{empty} is empty, so that nothing would learn: name parts, or leave it out")
