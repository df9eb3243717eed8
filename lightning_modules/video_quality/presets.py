"""Sizes and switches of the KSVQE network, and the named presets that fill them.

``paper`` follows the supplement, ``official`` the released code and its weights; ``tiny`` has every part, at a size
that trains from random weights on two CPU cores. The method's README lists where ``paper`` and ``official`` differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.distortion import DistortionInput
from lightning_modules.video_quality.gated_bias import Gate, Triple
from lightning_modules.video_quality.modulation import AttentionScale, Fusion

PresetName = Literal["paper", "official", "tiny"]
KeyFrameLayout = Literal["segment_centers", "official"]
ContentArch = Literal["clip"]
DistortionArch = Literal["contrique", "small"]


def _check(config: KSVQEConfig) -> None:
    """Raise `ConfigurationError` where values contradict each other."""
    problem = ""
    pixels = config.window * config.fragment_size
    if config.grid_size < config.window:
        problem = f"grid_size {config.grid_size} is below the {config.window} fragments of the selection: raise it"
    elif config.clip_length % config.patch_size[0] or pixels % config.patch_size[1] or pixels % config.patch_size[2]:
        problem = (
            f"patch_size {config.patch_size} does not divide clip_length {config.clip_length} and the mosaic of "
            f"{pixels} pixels: choose multiples of the patch"
        )
    elif not len(config.depths) == len(config.swin_heads) == len(config.gated_stages):
        problem = (
            f"depths {config.depths}, swin_heads {config.swin_heads} and gated_stages {config.gated_stages} differ in "
            "length: give each stage one entry of each"
        )
    elif not 0 <= config.tuning_stage < config.stages:
        problem = f"tuning_stage {config.tuning_stage} is none of the {config.stages} stages: count from 0"
    elif len(config.attention_heads) not in (1, *range(len(config.modulated_stages), config.stages + 1)):
        problem = (
            f"attention_heads {config.attention_heads} names {len(config.attention_heads)} stages, but "
            f"{len(config.modulated_stages)} are modulated: give one number, or one per modulated stage"
        )
    elif config.key_frame_layout == "official" and config.num_key_frames != 4:
        problem = f"the official layout has 4 key frames, not {config.num_key_frames}: set num_key_frames to 4"
    elif not 1 <= config.num_key_frames <= config.clip_length:
        problem = f"num_key_frames {config.num_key_frames} does not fit a clip of {config.clip_length} frames"
    elif config.content_size < config.content_patch:
        problem = f"content_size {config.content_size} is smaller than one patch of {config.content_patch} pixels"
    if problem:
        raise ConfigurationError(f"The network cannot be built: {problem}.")


@dataclass(frozen=True)
class KSVQEConfig:
    """Everything that `KSVQENetwork` is built from: plain values, so that a checkpoint rebuilds its own network.

    Attributes:
        grid_size: Fragments a side of the input, g.
        window: Fragments a side of the selection.
        fragment_size: Pixels a side of a fragment.
        clip_length: Frames in a clip, T.
        num_key_frames: Frames that the content tower sees, N_t.
        key_frame_layout: Where they lie; ``official`` is 0, T/4-1, T/2-1, 3T/4-1.
        content_size: Pixels a side of a key frame.
        gate: Gate of the position biases.
        embed_dim: Channels of the backbone's first stage.
        depths: Blocks per stage.
        swin_heads: Attention heads per stage.
        window_size: Attention window in tokens (frames, rows, columns).
        patch_size: Pixels per token (frames, rows, columns).
        gated_stages: Stages with a gated bias.
        mlp_ratio: Hidden channels of the backbone's MLPs, as a multiple of the channels.
        drop_path: Largest stochastic depth.
        qrs: Select regions; off takes the central window.
        cam: Content-adaptive modulation.
        dam: Distortion-aware modulation.
        content_adapter: Adapt the class token of the content tower (Table 4).
        distortion_adapter: Adapt the distortion tokens (Table 6).
        dam_self_attention: Attend over time in DaM (Table 5).
        fusion: How CaM and DaM are joined (Table 7).
        tuning_stage: First stage, from 0, whose output is modulated.
        attention_heads: Heads of the modulations, one number per modulated stage; a longer list gives its end.
        attention_scale: Scale of the cross attention.
        num_samples: Noise samples of the perturbed top-1.
        sigma: Its noise.
        antithetic: Use each noise vector with both signs.
        baseline: Subtract a baseline in its gradient.
        content_arch: Kind of content tower.
        content_width: Its channels.
        content_layers: Its blocks.
        content_heads: Its attention heads.
        content_patch: Pixels a side of its patches.
        content_image_size: Pixels a side of the images its position embeddings were trained on.
        content_activation: Of its MLPs.
        content_adapter_layers: How many of its last blocks are adapted.
        content_adapter_width: Bottleneck of the content adapters.
        freeze_content: Keep the tower as it was loaded.
        distortion_arch: Kind of distortion extractor.
        distortion_dim: Channels of its tokens.
        distortion_width: Hidden channels of ``small``.
        distortion_adapter_width: Bottleneck of the distortion adapters.
        distortion_input: Pixels that ``contrique`` sees.
        freeze_distortion: Keep the extractor as it was loaded.
        head_hidden: Hidden channels of the score head.
        dropout: Dropout of the score head.
        initial_a1: Weight of DaM at the start.
        initial_a2: Weight of CaM at the start.
    """

    grid_size: int = 9
    window: int = 7
    fragment_size: int = 32
    clip_length: int = 32
    num_key_frames: int = 4
    key_frame_layout: KeyFrameLayout = "segment_centers"
    content_size: int = 112
    gate: Gate = "binary"
    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    swin_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: Triple = (8, 7, 7)
    patch_size: Triple = (2, 4, 4)
    gated_stages: tuple[bool, ...] = (True, True, True, False)
    mlp_ratio: float = 4.0
    drop_path: float = 0.1
    qrs: bool = True
    cam: bool = True
    dam: bool = True
    content_adapter: bool = True
    distortion_adapter: bool = True
    dam_self_attention: bool = True
    fusion: Fusion = "modulation"
    tuning_stage: int = 2
    attention_heads: tuple[int, ...] = (8,)
    attention_scale: AttentionScale = "head"
    num_samples: int = 500
    sigma: float = 0.5
    antithetic: bool = True
    baseline: bool = True
    content_arch: ContentArch = "clip"
    content_width: int = 768
    content_layers: int = 12
    content_heads: int = 12
    content_patch: int = 16
    content_image_size: int = 224
    content_activation: str = "quick_gelu"
    content_adapter_layers: int = 4
    content_adapter_width: int = 192
    freeze_content: bool = True
    distortion_arch: DistortionArch = "contrique"
    distortion_dim: int = 128
    distortion_width: int = 64
    distortion_adapter_width: int = 32
    distortion_input: DistortionInput = "unit"
    freeze_distortion: bool = True
    head_hidden: int = 64
    dropout: float = 0.5
    initial_a1: float = 1.0
    initial_a2: float = 2.0

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        _check(self)

    @property
    def stages(self) -> int:
        """Number of stages of the backbone."""
        return len(self.depths)

    @property
    def modulated_stages(self) -> tuple[int, ...]:
        """Stages whose output is modulated."""
        return tuple(range(self.tuning_stage, self.stages))

    @property
    def heads_by_stage(self) -> tuple[int, ...]:
        """Heads of the modulation after each modulated stage."""
        count = len(self.modulated_stages)
        heads = self.attention_heads
        return heads * count if len(heads) == 1 else heads[len(heads) - count :]

    def stage_channels(self, stage: int) -> int:
        """Channels that leave a stage, merging included."""
        return int(self.embed_dim * 2 ** min(stage + 1, self.stages - 1))


_PRESETS: dict[str, KSVQEConfig] = {
    "paper": KSVQEConfig(),
    "official": KSVQEConfig(
        key_frame_layout="official",
        gate="distance",
        tuning_stage=1,
        attention_heads=(6, 12, 12),
        attention_scale="channel",
        num_samples=1,
        antithetic=False,
        baseline=False,
        distortion_input="imagenet",
    ),
    "tiny": KSVQEConfig(
        clip_length=4,
        gate="distance",
        embed_dim=32,
        depths=(1, 1),
        swin_heads=(2, 4),
        window_size=(2, 7, 7),
        patch_size=(2, 8, 8),
        gated_stages=(True, True),
        mlp_ratio=2.0,
        drop_path=0.0,
        tuning_stage=0,
        attention_heads=(4,),
        num_samples=1,  # a mixture of windows would blur what coding did
        antithetic=False,
        baseline=False,
        content_width=64,
        content_layers=2,
        content_heads=4,
        content_image_size=112,
        content_adapter_layers=1,
        content_adapter_width=16,
        freeze_content=False,
        distortion_arch="small",
        distortion_dim=64,
        distortion_adapter_width=16,
        freeze_distortion=False,
        head_hidden=32,
        dropout=0.1,
        initial_a1=1.0,
        initial_a2=1.0,
    ),
}


def resolve_preset(name: PresetName, **overrides: object) -> KSVQEConfig:
    """Values of a preset, with those that are given in its place.

    Args:
        name: ``paper``, ``official`` or ``tiny``.
        **overrides: Attributes of `KSVQEConfig`; None means "not given". Lists become tuples.

    Raises:
        ConfigurationError: If a name is unknown, or the values do not fit together.

    Example:
        >>> resolve_preset("official", tuning_stage=2, sigma=None).heads_by_stage
        (12, 12)
    """
    if name not in _PRESETS:
        raise ConfigurationError(f"There is no preset {name!r}; choose one of {', '.join(get_args(PresetName))}.")
    known = {field.name for field in fields(KSVQEConfig)}
    for key in overrides:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            raise ConfigurationError(
                f"A preset has no value {key!r}; {'nearest: ' + ', '.join(near) if near else 'see KSVQEConfig'}."
            )
    given = {key: _plain(key, value) for key, value in overrides.items() if value is not None}
    return replace(_PRESETS[name], **given)  # type: ignore[arg-type]  # the names are checked above, the values by _check


def _plain(key: str, value: object) -> object:
    """Lists as tuples, and a single number of heads as a tuple of one."""
    if key == "attention_heads" and isinstance(value, int):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
