"""CaM and DaM: scale and shift the backbone's features by what content and distortion tokens say of them.

All features are channels-last tokens ``(B, T', L, C)``: T' frames of tokens, L = h * w places.

References:
    Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, sections 4.3 and 4.4, and its
    supplement, sections 4.2 and 5.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.content import Adapter

AttentionScale = Literal["head", "channel"]
Fusion = Literal["modulation", "concat"]


class GuideTokens(NamedTuple):
    """Tokens that guide the backbone, for some frames each.

    Shape:
        - tokens: ``(B, G, S, D)``, G groups of frames, S tokens each.
        - group: ``(T',)`` int64 in [0, G), the group of each frame of tokens; None where each frame has its own.
    """

    tokens: Tensor
    group: Tensor | None = None


class CrossAttention(nn.Module):
    """Multi-head cross attention without output projection: features ask, guide tokens answer.

    Args:
        dim: Channels C, a multiple of ``heads``.
        heads: Attention heads.
        scale: Divide the logits by the root of the channels of a ``head``, or of all: ``channel`` (released code).
    """

    def __init__(self, dim: int, heads: int, scale: AttentionScale) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigurationError(f"attention_heads is {heads}, but {dim} channels must be a multiple of it.")
        self.heads = heads
        self.scale = float(dim if scale == "channel" else dim // heads) ** -0.5
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x: Tensor, guide: Tensor, group: Tensor | None = None) -> Tensor:
        """Attend from ``(B, T', L, C)`` to the guide tokens ``(B, G, S, C)`` of each frame's group."""
        batch, frames, places, channels = x.shape
        query = self._split(self.query(x).flatten(0, 1))
        key, value = (self._by_frame(layer(guide), group) for layer in (self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return mixed.transpose(1, 2).reshape(batch, frames, places, channels)

    def _by_frame(self, tokens: Tensor, group: Tensor | None) -> Tensor:
        """Keys or values of the groups, projected once each, repeated for the frames: ``(B * T', heads, S, d)``."""
        if group is not None:
            tokens = tokens.index_select(1, group)
        return self._split(tokens.flatten(0, 1))

    def _split(self, x: Tensor) -> Tensor:
        """Split ``(N, L, C)`` into heads: ``(N, heads, L, d)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class TemporalSelfAttention(nn.Module):
    """Multi-head self-attention over time at each place, without residual or norm.

    Args:
        dim: Channels C, a multiple of ``heads``.
        heads: Attention heads; logits are scaled by the channels of a head.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, T', L, C)`` to the same shape."""
        batch, frames, places, channels = x.shape
        qkv = self.qkv(x).view(batch, frames, places, 3, self.heads, -1)
        query, key, value = qkv.permute(3, 0, 2, 4, 1, 5).flatten(1, 2)  # (3, B * L, heads, T', d)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.view(batch, places, self.heads, frames, -1).permute(0, 3, 1, 2, 4)
        return cast(Tensor, self.out(mixed.reshape(batch, frames, places, channels)))


class ContentModulation(nn.Module):
    """CaM: one scale and one shift for each place and frame, shared by the channels.

    Args:
        dim: Channels C of the features.
        content_dim: Channels of the content tokens.
        adapter_width: Bottleneck of the adapter.
        heads: Attention heads.
        scale: Scale of the attention.
    """

    def __init__(self, dim: int, content_dim: int, adapter_width: int, heads: int, scale: AttentionScale) -> None:
        super().__init__()
        self.adapter = Adapter(content_dim, adapter_width, dim)
        self.cross = CrossAttention(dim, heads, scale)
        self.gamma = nn.Linear(dim, 1)
        self.beta = nn.Linear(dim, 1)

    def describe(self, x: Tensor, guide: GuideTokens) -> Tensor:
        """Content at each place: ``(B, T', L, C)``."""
        return cast(Tensor, self.cross(x, self.adapter(guide.tokens), guide.group))

    def forward(self, x: Tensor, guide: GuideTokens) -> Tensor:
        """Modulate ``(B, T', L, C)``."""
        content = self.describe(x, guide)
        return torch.addcmul(self.beta(content), torch.sigmoid(self.gamma(content)), x)


class DistortionModulation(nn.Module):
    """DaM: one scale and one shift for each channel, from the spread and the mean of the distortions over the clip.

    Args:
        dim: Channels C of the features.
        distortion_dim: Channels of the distortion tokens.
        adapter_width: Bottleneck of the adapter; 0 replaces the adapter by one linear layer (Table 6 without adapter).
        heads: Attention heads.
        scale: Scale of the cross attention.
        self_attention: Attend over time after the cross attention (Table 5).
    """

    def __init__(
        self, dim: int, distortion_dim: int, adapter_width: int, heads: int, scale: AttentionScale, self_attention: bool
    ) -> None:
        super().__init__()
        self.adapter = Adapter(distortion_dim, adapter_width, dim) if adapter_width else nn.Linear(distortion_dim, dim)
        self.cross = CrossAttention(dim, heads, scale)
        self.temporal = TemporalSelfAttention(dim, heads) if self_attention else None
        self.gamma = nn.Linear(dim, dim)
        self.beta = nn.Linear(dim, dim)

    def describe(self, x: Tensor, guide: GuideTokens) -> Tensor:
        """Distortions at each place: ``(B, T', L, C)``."""
        distortion = self.cross(x, self.adapter(guide.tokens), guide.group)
        return cast(Tensor, distortion if self.temporal is None else self.temporal(distortion))

    def forward(self, x: Tensor, guide: GuideTokens) -> Tensor:
        """Modulate ``(B, T', L, C)``."""
        distortion = self.describe(x, guide).flatten(1, 2)
        variance, mean = torch.var_mean(distortion.float(), dim=1, keepdim=True)
        deviation = variance.clamp_min(1e-12).sqrt()  # the root has no gradient at 0
        gamma = torch.sigmoid(self.gamma(deviation.to(x.dtype)))
        beta = self.beta(mean.to(x.dtype))
        return torch.addcmul(beta.unsqueeze(1), gamma.unsqueeze(1), x)


class StageModulation(nn.Module):
    """What follows one stage of the backbone: CaM and DaM, joined by weights or by concatenation.

    With both branches the result is ``(a1 * DaM(x) + a2 * CaM(x)) / 2``, with one of them ``a * branch(x)``. With
    ``concat`` (Table 7) features, content and distortions are joined and projected back to C channels.

    Args:
        dim: Channels C of the features.
        content: CaM of this stage, or None.
        distortion: DaM of this stage, or None.
        fusion: How they are joined.
    """

    def __init__(
        self, dim: int, content: ContentModulation | None, distortion: DistortionModulation | None, fusion: Fusion
    ) -> None:
        super().__init__()
        self.content = content
        self.distortion = distortion
        branches = (content is not None) + (distortion is not None)
        self.join = nn.Linear((1 + branches) * dim, dim) if fusion == "concat" and branches else None
        if self.join is not None:
            # What makes scales and shifts out of the descriptions has no part in a concatenation.
            for branch in (content, distortion):
                if branch is not None:
                    del branch.gamma, branch.beta

    def forward(
        self, x: Tensor, content: GuideTokens | None, distortion: GuideTokens | None, a1: Tensor, a2: Tensor
    ) -> Tensor:
        """Modulate ``(B, T', L, C)``; ``a1`` weighs DaM, ``a2`` CaM, each of shape (1,)."""
        if self.join is not None:
            parts = [x]
            if self.content is not None and content is not None:
                parts.append(self.content.describe(x, content))
            if self.distortion is not None and distortion is not None:
                parts.append(self.distortion.describe(x, distortion))
            return cast(Tensor, self.join(torch.cat(parts, dim=-1)))
        modulated: list[Tensor] = []
        if self.distortion is not None and distortion is not None:
            modulated.append(a1 * self.distortion(x, distortion))
        if self.content is not None and content is not None:
            modulated.append(a2 * self.content(x, content))
        if not modulated:
            return x
        return modulated[0] if len(modulated) == 1 else (modulated[0] + modulated[1]) / 2
