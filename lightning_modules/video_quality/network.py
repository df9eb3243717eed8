"""KSVQE's network: QRS, the Swin3D backbone, CaM and DaM, and the head, joined as the presets say.

References:
    Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, section 4.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.video_quality.content import ClipContent, ClipTower, ContentTokens
from lightning_modules.video_quality.distortion import ContriqueDistortion
from lightning_modules.video_quality.modulation import (
    ContentModulation,
    DistortionModulation,
    GuideTokens,
    StageModulation,
)
from lightning_modules.video_quality.presets import KeyFrameLayout, KSVQEConfig
from lightning_modules.video_quality.region_selection import (
    QualityAwareRegionSelection,
    RegionSelection,
    importance_map,
)
from lightning_modules.video_quality.small_distortion import SmallDistortion
from lightning_modules.video_quality.swin3d import SwinTransformer3D

SHARED_ADAPTER_BLEND = 0.2  # of the adapted distortion tokens in their mixture with the tokens themselves


class KSVQEOutput(NamedTuple):
    """A score and how it came about.

    Shape:
        - score: ``(B,)``.
        - importance: ``(B, N_t, h, w)``, cosine of class and patch tokens; zeros where no content tower is used.
        - selection: the region and its candidates.
        - distortion_tokens: ``(B, M, D)``, adapted, for the contrastive loss; M = 0 where DaM is off.
    """

    score: Tensor
    importance: Tensor
    selection: RegionSelection
    distortion_tokens: Tensor


def key_frame_groups(layout: KeyFrameLayout, frames: int, key_frames: int) -> Tensor:
    """The key frame that speaks for each frame, ``(frames,)`` int64.

    ``segment_centers``: equal segments. ``official``: the group changes *at* each key frame 0, T/4-1, T/2-1, 3T/4-1.

    Example:
        >>> key_frame_groups("official", 8, 4)
        tensor([0, 1, 1, 2, 2, 3, 3, 3])
        >>> key_frame_groups("segment_centers", 8, 4)
        tensor([0, 0, 1, 1, 2, 2, 3, 3])
    """
    frame = torch.arange(frames)
    if layout == "segment_centers":
        return frame * key_frames // frames
    starts = torch.tensor([frames // 4 - 1, frames // 2 - 1, 3 * frames // 4 - 1])
    return (frame[:, None] >= starts).sum(1)


class ScoreHead(nn.Module):
    """Two linear layers with GELU between at each place, then the mean over the clip.

    Args:
        dim: Channels of the features.
        hidden: Hidden channels.
        dropout: Dropout before each layer.
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, hidden)
        self.last = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Score ``(B,)`` of features ``(B, ..., C)``."""
        places = self.last(self.dropout(F.gelu(self.hidden(self.dropout(x)))))
        return cast(Tensor, places.flatten(1).float().mean(1))


class DistortionBranch(nn.Module):
    """Distortion extractor over the chosen fragments, and the adapter that all stages share.

    Every frame that begins a token of the backbone is looked at. The fragments get no gradient from here.
    """

    def __init__(self, config: KSVQEConfig) -> None:
        super().__init__()
        self.fragment_size = config.fragment_size
        self.window = config.window
        self.extractor: ContriqueDistortion | SmallDistortion
        if config.distortion_arch == "contrique":
            self.extractor = ContriqueDistortion(
                config.distortion_dim, config.distortion_input, config.freeze_distortion
            )
        else:
            self.extractor = SmallDistortion(config.distortion_dim, config.distortion_width, config.freeze_distortion)
        self.adapter: nn.Sequential | None = None
        if config.distortion_adapter:
            width = config.distortion_adapter_width
            self.adapter = nn.Sequential(
                nn.Linear(config.distortion_dim, width), nn.ReLU(), nn.Linear(width, config.distortion_dim), nn.ReLU()
            )

    def tokens(self, frames: Tensor) -> Tensor:
        """Unadapted tokens ``(B, T', S, D)`` of frames ``(B, 3, T', w * fs, w * fs)``, S = w**2, row by row."""
        batch, channels, count = frames.shape[:3]
        size, side = self.fragment_size, self.window
        patches = frames.detach().view(batch, channels, count, side, size, side, size).permute(0, 2, 3, 5, 1, 4, 6)
        tokens = self.extractor(patches.reshape(-1, channels, size, size))
        return cast(Tensor, tokens.view(batch, count, side * side, -1))

    def forward(self, frames: Tensor) -> Tensor:
        """Adapted tokens ``(B, T', S, D)`` of frames ``(B, 3, T', w * fs, w * fs)``."""
        tokens = self.tokens(frames)
        if self.adapter is None:
            return tokens
        blend = SHARED_ADAPTER_BLEND
        return blend * cast(Tensor, self.adapter(tokens)) + (1 - blend) * tokens


class KSVQENetwork(nn.Module):
    """Quality of a clip from its fragments and key frames.

    Args:
        config: Sizes and switches, see `resolve_preset`.

    Shape:
        - fragments: ``(B, 3, T, g * fs, g * fs)``, float, ImageNet-normalised.
        - key_frames: ``(B, N_t, 3, R, R)``, float, CLIP-normalised.

    Example:
        >>> from lightning_modules.video_quality.presets import resolve_preset
        >>> network = KSVQENetwork(resolve_preset("tiny", clip_length=8)).eval()
        >>> network(torch.rand(1, 3, 8, 288, 288), torch.rand(1, 4, 3, 112, 112)).score.shape
        torch.Size([1])
    """

    def __init__(self, config: KSVQEConfig) -> None:
        super().__init__()
        self.config = config
        self.selection = QualityAwareRegionSelection(
            config.grid_size,
            config.window,
            config.fragment_size,
            num_samples=config.num_samples,
            sigma=config.sigma,
            antithetic=config.antithetic,
            baseline=config.baseline,
            enabled=config.qrs,
        )
        self.content = _content(config) if config.qrs or config.cam else None
        self.distortion = DistortionBranch(config) if config.dam else None
        self.backbone = SwinTransformer3D(
            config.embed_dim,
            config.depths,
            config.swin_heads,
            window=config.window_size,
            patch_size=config.patch_size,
            mlp_ratio=config.mlp_ratio,
            drop_path=config.drop_path,
            fragments=config.window,
            gate=config.gate,
            gated_stages=config.gated_stages,
        )
        count = len(config.modulated_stages)
        self.modulation = nn.ModuleList(_stage_modulation(config, number) for number in range(count))
        self.a1 = nn.Parameter(torch.full((count, 1), config.initial_a1)) if config.dam and self._weighted else None
        self.a2 = nn.Parameter(torch.full((count, 1), config.initial_a2)) if config.cam and self._weighted else None
        self.head = ScoreHead(config.stage_channels(config.stages - 1), config.head_hidden, config.dropout)

    @property
    def _weighted(self) -> bool:
        return self.config.fusion == "modulation"

    def forward(self, fragments: Tensor, key_frames: Tensor) -> KSVQEOutput:
        """Score clips."""
        groups = key_frame_groups(self.config.key_frame_layout, fragments.shape[2], key_frames.shape[1])
        groups = groups.to(fragments.device)
        content, importance = self._look(key_frames)
        selection = self.selection(fragments, importance, groups)
        # The backbone's tokens span several frames: the first of them stands for a token's content and distortions.
        step = self.config.patch_size[0]
        distortion = None if self.distortion is None else self.distortion(selection.region[:, :, ::step])
        features = self.features(
            selection.region,
            None if content is None else GuideTokens(content, groups[::step]),
            None if distortion is None else GuideTokens(distortion),
        )
        tokens = features.new_zeros(fragments.shape[0], 0, self.config.distortion_dim)
        if distortion is not None:
            tokens = distortion.flatten(1, 2)
        return KSVQEOutput(self.head(features), importance, selection, tokens)

    def features(self, region: Tensor, content: GuideTokens | None, distortion: GuideTokens | None) -> Tensor:
        """Modulated, normalised features ``(B, T', h, w, C)`` of a region ``(B, 3, T, w * fs, w * fs)``."""
        x = self.backbone.patch_embed(region)
        for number, stage in enumerate(self.backbone.stages):
            x = stage(x)
            place = number - self.config.tuning_stage
            if place >= 0:
                x = self._modulate(place, x, content, distortion)
        return cast(Tensor, self.backbone.norm(x))

    def _modulate(self, place: int, x: Tensor, content: GuideTokens | None, distortion: GuideTokens | None) -> Tensor:
        one = x.new_ones(1)
        a1 = one if self.a1 is None else self.a1[place]
        a2 = one if self.a2 is None else self.a2[place]
        modulated = self.modulation[place](x.flatten(2, 3), content, distortion, a1, a2)
        return cast(Tensor, modulated.view(x.shape))

    def _look(self, key_frames: Tensor) -> tuple[Tensor | None, Tensor]:
        """Patch tokens ``(B, N_t, h * w, D)`` and importance ``(B, N_t, h, w)`` of the key frames."""
        batch, count, _, height, width = key_frames.shape
        if self.content is None:
            patch = self.config.content_patch
            return None, key_frames.new_zeros(batch, count, height // patch, width // patch)
        tokens: ContentTokens = self.content(key_frames.flatten(0, 1))
        size = self.content.map_size(height, width)
        importance = importance_map(tokens.class_token, tokens.patch_tokens)
        patch_tokens = tokens.patch_tokens.reshape(batch, count, -1, self.content.dim)
        return patch_tokens, importance.view(batch, count, *size)


def _content(config: KSVQEConfig) -> ClipContent:
    tower = ClipTower(
        config.content_width,
        config.content_layers,
        config.content_heads,
        config.content_patch,
        config.content_image_size,
        config.content_activation,
    )
    adapted = config.content_adapter_layers if config.content_adapter else 0
    return ClipContent(tower, adapted, config.content_adapter_width, config.freeze_content)


def _stage_modulation(config: KSVQEConfig, number: int) -> StageModulation:
    dim = config.stage_channels(config.modulated_stages[number])
    heads, scale = config.heads_by_stage[number], config.attention_scale
    content: ContentModulation | None = None
    distortion: DistortionModulation | None = None
    if config.cam:
        content = ContentModulation(dim, config.content_width, config.content_adapter_width, heads, scale)
    if config.dam:
        width = config.distortion_adapter_width if config.distortion_adapter else 0
        distortion = DistortionModulation(dim, config.distortion_dim, width, heads, scale, config.dam_self_attention)
    return StageModulation(dim, content, distortion, config.fusion)
