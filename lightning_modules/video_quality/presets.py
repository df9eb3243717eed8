"""Sizes and switches of the KSVQE network, and the named presets that fill them.

``paper`` follows the supplement, ``official`` the released code and its weights; ``tiny`` has every part, at a size
that trains from random weights on two CPU cores. The method's README lists where ``paper`` and ``official`` differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.video_quality.distortion import DistortionInput
from lightning_modules.video_quality.gated_bias import Gate, Triple
from lightning_modules.video_quality.modulation import AttentionScale, Fusion

PresetName = Literal["paper", "official", "tiny"]
KeyFrameLayout = Literal["segment_centers", "official"]
ContentArch = Literal["clip"]
DistortionArch = Literal["contrique", "small"]


@settings
class KSVQEConfig:
    """Everything that `KSVQENetwork` is built from: plain values, so that a checkpoint rebuilds its own network."""

    grid_size: int = argument(
        default=9,
        help="Fragments a side that the data module samples; a 7 x 7 window of them is selected.",
        by_preset=True,
    )
    window: int = argument(default=7, help="Fragments a side of the selection.", flat=False)
    fragment_size: int = argument(default=32, help="Pixels a side of a fragment.", flat=False)
    clip_length: int = argument(default=32, help="Frames in a clip.", by_preset=True)
    num_key_frames: int = argument(default=4, help="Frames of a clip that the content tower sees.", by_preset=True)
    key_frame_layout: KeyFrameLayout = argument(
        default="segment_centers",
        help="Where these frames lie: ``segment_centers`` (paper) or ``official`` (0, T/4-1, T/2-1, 3T/4-1).",
        by_preset=True,
    )
    content_size: int = argument(default=112, help="Side of the content tower's input in pixels.", by_preset=True)
    gate: Gate = argument(
        default="binary",
        help="Gated relative position bias: ``binary`` (paper) or ``distance`` (all released weights).",
        by_preset=True,
    )
    embed_dim: int = argument(default=96, help="Channels of the backbone's first stage.", flat=False)
    depths: tuple[int, ...] = argument(default=(2, 2, 6, 2), help="Blocks per stage.", flat=False)
    swin_heads: tuple[int, ...] = argument(default=(3, 6, 12, 24), help="Attention heads per stage.", flat=False)
    window_size: Triple = argument(
        default=(8, 7, 7), help="Attention window in tokens (frames, rows, columns).", flat=False
    )
    patch_size: Triple = argument(default=(2, 4, 4), help="Pixels per token (frames, rows, columns).", flat=False)
    gated_stages: tuple[bool, ...] = argument(
        default=(True, True, True, False), help="Stages with a gated bias.", flat=False
    )
    mlp_ratio: float = argument(
        default=4.0, help="Hidden channels of the backbone's MLPs, as a multiple of the channels.", flat=False
    )
    drop_path: float = argument(default=0.1, help="Largest stochastic depth of the backbone.", by_preset=True)
    qrs: bool = argument(default=True, help="Select regions; off takes the central window.", by_preset=True)
    cam: bool = argument(default=True, help="Content-adaptive modulation.", by_preset=True)
    dam: bool = argument(default=True, help="Distortion-aware modulation.", by_preset=True)
    content_adapter: bool = argument(
        default=True, help="Adapt the content tower's class token (Table 4).", by_preset=True
    )
    distortion_adapter: bool = argument(default=True, help="Adapt the distortion tokens (Table 6).", by_preset=True)
    dam_self_attention: bool = argument(
        default=True, help="Self attention over time after the cross attention (Table 5).", by_preset=True
    )
    fusion: Fusion = argument(
        default="modulation",
        help="``modulation``, or ``concat`` of content and distortion tokens (Table 7).",
        by_preset=True,
    )
    tuning_stage: int = argument(
        default=2, help="First Swin stage, counted from 0, whose output is modulated.", by_preset=True
    )
    attention_heads: tuple[int, ...] = argument(
        default=(8,),
        help="Heads of the modulations' attention; one number, or one per modulated stage.",
        by_preset=True,
        accepts=int | list[int],
    )
    attention_scale: AttentionScale = argument(
        default="head",
        help="Divide the logits of the cross attention by the root of the ``head`` or ``channel`` width.",
        by_preset=True,
    )
    num_samples: int = argument(default=500, help="Noise samples of the perturbed top-1.", by_preset=True)
    sigma: float = argument(
        default=0.5, help="Noise of the perturbed top-1, relative to scores in [0, 1].", by_preset=True
    )
    antithetic: bool = argument(default=True, help="Use each noise vector with both signs.", flat=False)
    baseline: bool = argument(default=True, help="Subtract a baseline in its gradient.", flat=False)
    content_arch: ContentArch = argument(default="clip", help="Kind of content tower.", flat=False)
    content_width: int = argument(default=768, help="Its channels.", flat=False)
    content_layers: int = argument(default=12, help="Its blocks.", flat=False)
    content_heads: int = argument(default=12, help="Its attention heads.", flat=False)
    content_patch: int = argument(default=16, help="Pixels a side of its patches.", flat=False)
    content_image_size: int = argument(
        default=224, help="Pixels a side of the images its position embeddings were trained on.", flat=False
    )
    content_activation: str = argument(default="quick_gelu", help="Of its MLPs.", flat=False)
    content_adapter_layers: int = argument(default=4, help="How many of its last blocks are adapted.", flat=False)
    content_adapter_width: int = argument(default=192, help="Bottleneck of the content adapters.", flat=False)
    freeze_content: bool = argument(default=True, help="Keep the tower as it was loaded.", flat=False)
    distortion_arch: DistortionArch = argument(default="contrique", help="Kind of distortion extractor.", flat=False)
    distortion_dim: int = argument(default=128, help="Channels of its tokens.", flat=False)
    distortion_width: int = argument(default=64, help="Hidden channels of ``small``.", flat=False)
    distortion_adapter_width: int = argument(default=32, help="Bottleneck of the distortion adapters.", flat=False)
    distortion_input: DistortionInput = argument(
        default="unit",
        help="Pixels that the distortion extractor sees: ``unit`` [0, 1], or ``imagenet``-normalised.",
        by_preset=True,
    )
    freeze_distortion: bool = argument(
        default=True, help="Keep the distortion extractor's weights and statistics as they were loaded.", by_preset=True
    )
    head_hidden: int = argument(default=64, help="Hidden channels of the score head.", flat=False)
    dropout: float = argument(default=0.5, help="Dropout of the score head.", by_preset=True)
    initial_a1: float = argument(default=1.0, help="Weight of DaM at the start.", flat=False)
    initial_a2: float = argument(default=2.0, help="Weight of CaM at the start.", flat=False)

    def check(self) -> None:
        """Refuse values that contradict each other."""
        problem = ""
        pixels = self.window * self.fragment_size
        if self.grid_size < self.window:
            problem = f"grid_size {self.grid_size} is below the {self.window} fragments of the selection: raise it"
        elif self.clip_length % self.patch_size[0] or pixels % self.patch_size[1] or pixels % self.patch_size[2]:
            problem = (
                f"patch_size {self.patch_size} does not divide clip_length {self.clip_length} and the mosaic of "
                f"{pixels} pixels: choose multiples of the patch"
            )
        elif not len(self.depths) == len(self.swin_heads) == len(self.gated_stages):
            problem = (
                f"depths {self.depths}, swin_heads {self.swin_heads} and gated_stages {self.gated_stages} differ in "
                "length: give each stage one entry of each"
            )
        elif not 0 <= self.tuning_stage < self.stages:
            problem = f"tuning_stage {self.tuning_stage} is none of the {self.stages} stages: count from 0"
        elif len(self.attention_heads) not in (1, *range(len(self.modulated_stages), self.stages + 1)):
            problem = (
                f"attention_heads {self.attention_heads} names {len(self.attention_heads)} stages, but "
                f"{len(self.modulated_stages)} are modulated: give one number, or one per modulated stage"
            )
        elif self.key_frame_layout == "official" and self.num_key_frames != 4:
            problem = f"the official layout has 4 key frames, not {self.num_key_frames}: set num_key_frames to 4"
        elif not 1 <= self.num_key_frames <= self.clip_length:
            problem = f"num_key_frames {self.num_key_frames} does not fit a clip of {self.clip_length} frames"
        elif self.content_size < self.content_patch:
            problem = f"content_size {self.content_size} is smaller than one patch of {self.content_patch} pixels"
        if problem:
            raise ConfigurationError(f"The network cannot be built: {problem}.")

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


PRESETS: dict[str, KSVQEConfig] = {
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
        **overrides: Fields of `KSVQEConfig`; None means "not given". Lists become tuples.

    Raises:
        ConfigurationError: If a name is unknown, or the values do not fit together.

    Example:
        >>> resolve_preset("official", tuning_stage=2, sigma=None).heads_by_stage
        (12, 12)
    """
    if name not in PRESETS:
        raise ConfigurationError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **config_values(overrides))


def config_values(given: Mapping[str, object]) -> dict[str, Any]:
    """Given fields of `KSVQEConfig` as it holds them; None means "not given".

    Raises:
        ConfigurationError: If there is no such field.
    """
    known = {field.name for field in fields(KSVQEConfig)}
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            raise ConfigurationError(
                f"A preset has no value {key!r}; {'nearest: ' + ', '.join(near) if near else 'see KSVQEConfig'}."
            )
    return {key: _plain(key, value) for key, value in given.items() if value is not None}


def _plain(key: str, value: object) -> object:
    """Lists as tuples, and a single number of heads as a tuple of one."""
    if key == "attention_heads" and isinstance(value, int):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
