"""Swin3D with gated relative position biases: the backbone of FAST-VQA, DOVER and KSVQE.

The residual stream of a stage stays in window order (`gated_bias.WindowGeometry`); between two blocks the tokens move
straight from one order to the next. Without gradient, a block runs over a few windows at a time, so that its
intermediate results stay in the processor's cache: about twice as fast as layer by layer over the whole map.

References:
    Liu et al., "Video Swin Transformer", CVPR 2022, section 3;
    Wu et al., "FAST-VQA: Efficient End-to-End Video Quality Assessment with Fragment Sampling", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from lightning_modules.nn.derived import KeepsDerived
from lightning_modules.video_quality.gated_bias import (
    Gate,
    GatedPositionBias,
    Triple,
    WindowGeometry,
    window_geometry,
)

CPU_CHUNK_BYTES = 16 * 2**20  # of bias per step without gradient: what the last-level cache of a server core holds
GPU_CHUNK_BYTES = 512 * 2**20


class _SavedIndices(FunctionCtx):
    """What autograd's context carries here, for the type checker."""

    saved_tensors: tuple[Tensor, Tensor]


class _Reorder(torch.autograd.Function):
    """Rows of ``(B, L, C)`` by a permutation; its backward pass is the inverse permutation, not a scatter-add."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(index, inverse)
        return _take_rows(x, index)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = cast(_SavedIndices, ctx).saved_tensors
        return cast(Tensor, _Reorder.apply(grad, inverse, index)), None, None


def _take_rows(x: Tensor, index: Tensor) -> Tensor:
    if torch.compiler.is_exporting():  # a graph is for any number of clips
        return x.index_select(1, index)
    if len(x) == 1:
        return x[0].index_select(0, index).unsqueeze(0)  # much faster than index_select along a later dimension
    return torch.stack([clip.index_select(0, index) for clip in x])


def reorder(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """Permute the tokens of ``(B, L, C)``: token i of the result is token ``index[i]`` of ``x``."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _take_rows(x, index)
    return cast(Tensor, _Reorder.apply(x, index, inverse))


class DropPath(nn.Module):
    """Stochastic depth: in training a residual branch is dropped for a whole clip with probability ``rate``.

    References:
        Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop or scale each entry of the first dimension of ``x``."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.full((len(x),) + (1,) * (x.dim() - 1), 1 - self.rate, device=x.device)
        return x * (torch.bernoulli(keep) / (1 - self.rate)).to(x.dtype)


class WindowAttention(nn.Module):
    """Multi-head self-attention in windows, with one additive bias: gated positions and shift mask."""

    def __init__(self, dim: int, window: Triple, heads: int, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        self.position_bias = GatedPositionBias(window, heads, gated)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, bias: Tensor, cut: int) -> Tensor:
        """Attend in each window.

        Args:
            x: ``(B, n, nD, N, C)``, windows of n places in space and nD in time.
            bias: ``(n, heads, N, N)`` or ``(1, heads, N, N)``.
            cut: Token where the last window in time is cut in two (`WindowGeometry.cut`).
        """
        batch, places, times, tokens, channels = x.shape
        qkv = self.qkv(x).view(batch, places, times, tokens, 3, self.heads, channels // self.heads)
        bias = bias.to(qkv.dtype).expand(places, -1, -1, -1)
        if torch.compiler.is_exporting():  # nor can a graph take clips apart: windows of all clips attend together
            times_first = qkv.permute(2, 4, 0, 1, 5, 3, 6).unbind(0)
            windows = [
                _attend_plainly(own, bias, cut if number + 1 == times else 0) for number, own in enumerate(times_first)
            ]
            return cast(Tensor, self.proj(torch.stack(windows, dim=2)))
        # One call per clip and time, for all of which the bias is the same: (3, n, heads, N, d) each.
        # Unbound at once, since the backward pass of an index would fill a tensor of the whole size each time.
        groups = qkv.permute(0, 2, 4, 1, 5, 3, 6).flatten(0, 1).unbind(0)
        parts = [_attend(group, bias, cut if (number + 1) % times == 0 else 0) for number, group in enumerate(groups)]
        mixed = torch.stack(parts).view(batch, times, places, tokens, channels).transpose(1, 2)
        return cast(Tensor, self.proj(mixed))


def _attend(qkv: Tensor, bias: Tensor, cut: int) -> Tensor:
    """Attention of ``(3, n, heads, N, d)`` under ``bias``, in two halves where ``cut`` > 0: ``(n, N, heads * d)``."""
    query, key, value = qkv.unbind(0)
    if cut == 0:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)
    halves = [
        F.scaled_dot_product_attention(
            query[:, :, part], key[:, :, part], value[:, :, part], attn_mask=bias[:, :, part, part]
        )
        for part in (slice(None, cut), slice(cut, None))
    ]
    return torch.cat(halves, dim=2).transpose(1, 2).flatten(2)


def _attend_plainly(qkv: Tensor, bias: Tensor, cut: int) -> Tensor:
    """`_attend` of ``(3, B, n, heads, N, d)`` in products and a softmax alone: ``(B, n, N, heads * d)``."""
    query, key, value = qkv.unbind(0)
    query = query * query.shape[-1] ** -0.5
    tokens = query.shape[-2]
    mixed = [
        torch.softmax(query[..., part, :] @ key[..., part, :].transpose(-1, -2) + bias[:, :, part, part], dim=-1)
        @ value[..., part, :]
        for part in ((slice(0, tokens),) if cut == 0 else (slice(0, cut), slice(cut, tokens)))
    ]
    return torch.cat(mixed, dim=-2).transpose(-2, -3).flatten(-2)


class SwinBlock(nn.Module):
    """One Swin block on tokens in window order: attention in windows, then the MLP, both residual.

    ``drop_path`` is the probability of dropping a residual branch in training; for the rest see `SwinTransformer3D`.
    """

    def __init__(self, dim: int, heads: int, window: Triple, mlp_ratio: float, drop_path: float, gated: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window, heads, gated)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, geometry: WindowGeometry) -> Tensor:
        """Map ``(B, nS, nD, N, C)`` to the same shape; in evaluation without gradient ``x`` itself is overwritten."""
        bias = self.attn.position_bias
        tables = bias.gather(geometry, _compute_dtype(x))
        places = geometry.spatial_windows
        # A dropped branch is dropped in all windows of a clip, and a graph overwrites nothing.
        if torch.is_grad_enabled() or self.training or torch.compiler.is_exporting():
            return self._windows(x, bias(tables, geometry, 0, places), geometry.cut)
        step = self._places_at_a_time(x, geometry)
        for start in range(0, places, step):
            stop = min(start + step, places)
            part = x[:, start:stop]
            part.copy_(self._windows(part, bias(tables, geometry, start, stop), geometry.cut))
        return x

    def _windows(self, x: Tensor, bias: Tensor, cut: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), bias, cut))
        return cast(Tensor, x + self.drop_path(self.mlp(self.norm2(x))))

    def _places_at_a_time(self, x: Tensor, geometry: WindowGeometry) -> int:
        """Windows in space whose biases fill, but do not exceed, the chunk of this device."""
        budget = CPU_CHUNK_BYTES if x.device.type == "cpu" else GPU_CHUNK_BYTES
        one = self.attn.heads * geometry.tokens**2 * x.element_size()
        return max(1, budget // one)


def _compute_dtype(x: Tensor) -> torch.dtype:
    """Dtype that matrix products have here: that of autocast where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class PatchMerging(nn.Module):
    """Halve rows and columns: four neighbours are joined, normalised and projected to twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, D, H, W, C)`` to ``(B, D, H / 2, W / 2, 2 C)``; an odd last row or column is filled with zeros."""
        batch, depth, height, width, channels = x.shape
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
            height, width = x.shape[2:4]
        # The weights expect the neighbours column by column: (0, 0), (1, 0), (0, 1), (1, 1).
        x = x.view(batch, depth, height // 2, 2, width // 2, 2, channels).permute(0, 1, 2, 4, 5, 3, 6)
        return cast(Tensor, self.reduction(self.norm(x.reshape(batch, depth, height // 2, width // 2, 4 * channels))))


class SwinStage(KeepsDerived[tuple[WindowGeometry, ...]]):
    """Blocks at one resolution, every second one with shifted windows, then patch merging (not in the last stage).

    There are as many blocks as ``drop_path`` has probabilities; for the rest see `SwinTransformer3D`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        window: Triple,
        mlp_ratio: float,
        drop_path: Sequence[float],
        gated: bool,
        merge: bool,
        fragments: int,
        gate: Gate,
    ) -> None:
        super().__init__()
        self.window = window
        self.fragments = fragments
        self.gate: Gate = gate
        self.blocks = nn.ModuleList(SwinBlock(dim, heads, window, mlp_ratio, rate, gated) for rate in drop_path)
        self.downsample = PatchMerging(dim) if merge else None

    def geometries(self, size: Triple, device: torch.device) -> tuple[WindowGeometry, WindowGeometry]:
        """Geometry without and with shift for a token map; built once per shape and device."""
        shift = (self.window[0] // 2, self.window[1] // 2, self.window[2] // 2)

        def build() -> tuple[WindowGeometry, ...]:
            moves = ((0, 0, 0), shift)
            return tuple(window_geometry(size, self.window, m, self.fragments, self.gate, device) for m in moves)

        plain, shifted = self.derived((size, device), (), build)
        return plain, shifted

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, D, H, W, C)`` to the same shape, or to ``(B, D, H / 2, W / 2, 2 C)`` after merging."""
        batch, depth, height, width, channels = x.shape
        geometries = self.geometries((depth, height, width), x.device)
        x = x.flatten(1, 3)
        previous: WindowGeometry | None = None
        for number, block in enumerate(self.blocks):
            geometry = geometries[number % 2]
            x = _to_window_order(x, previous, geometry)
            shape = (batch, geometry.spatial_windows, geometry.temporal_windows, geometry.tokens, channels)
            x = block(x.view(shape), geometry).reshape(batch, -1, channels)
            previous = geometry
        if previous is not None:
            x = reorder(x, previous.inverse, previous.order)
        x = x.view(batch, depth, height, width, channels)
        return x if self.downsample is None else cast(Tensor, self.downsample(x))


def _to_window_order(x: Tensor, previous: WindowGeometry | None, geometry: WindowGeometry) -> Tensor:
    """Move tokens ``(B, L, C)`` from the previous window order, or from that of the map, to a geometry's."""
    if previous is None:
        return reorder(x, geometry.order, geometry.inverse)
    return reorder(x, previous.inverse[geometry.order], geometry.inverse[previous.order])


class PatchEmbed(nn.Module):
    """Project patches of ``patch_size`` pixels (frames, rows, columns) to tokens, then normalise."""

    def __init__(self, patch_size: Triple, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv3d(3, dim, kernel_size=patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 3, T, H, W)`` to tokens ``(B, D, H', W', C)``."""
        batch, _, frames, height, width = x.shape
        t, h, w = self.patch_size
        patches = x.reshape(batch, 3, frames // t, t, height // h, h, width // w, w).permute(0, 2, 4, 6, 1, 3, 5, 7)
        patches = patches.reshape(batch, frames // t, height // h, width // w, 3 * t * h * w)
        return cast(Tensor, self.norm(F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)))


class SwinTransformer3D(nn.Module):
    """Swin3D over a mosaic of fragments; ``stages`` are public, so that what is between them can be modulated.

    Args:
        embed_dim: Channels of the first stage; each later stage has twice those of the one before.
        depths: Blocks per stage.
        heads: Attention heads per stage.
        window: Window in tokens (frames, rows, columns).
        patch_size: Pixels per token (frames, rows, columns).
        mlp_ratio: Hidden channels of the MLPs, as a multiple of the channels.
        drop_path: Largest probability of dropping a branch; it rises linearly from 0 over the blocks.
        fragments: Fragments per side of the mosaic.
        gate: Gate of the position biases, ``binary`` (paper) or ``distance`` (released weights).
        gated_stages: Which stages have a gated bias.

    Example:
        >>> swin = SwinTransformer3D(8, (1,), (1,), window=(2, 7, 7), patch_size=(2, 8, 8), gated_stages=(True,))
        >>> swin(torch.rand(1, 3, 4, 224, 224)).shape
        torch.Size([1, 2, 28, 28, 8])
    """

    def __init__(
        self,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        *,
        window: Triple = (8, 7, 7),
        patch_size: Triple = (2, 4, 4),
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        fragments: int = 7,
        gate: Gate = "distance",
        gated_stages: Sequence[bool] = (True, True, True, False),
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        rates = [drop_path * i / max(1, sum(depths) - 1) for i in range(sum(depths))]
        self.stages = nn.ModuleList()
        for number, (depth, count, gated) in enumerate(zip(depths, heads, gated_stages, strict=True)):
            first = sum(depths[:number])
            self.stages.append(
                SwinStage(
                    embed_dim * 2**number,
                    count,
                    window,
                    mlp_ratio,
                    rates[first : first + depth],
                    gated,
                    merge=number < len(depths) - 1,
                    fragments=fragments,
                    gate=gate,
                )
            )
        self.norm = nn.LayerNorm(embed_dim * 2 ** (len(depths) - 1))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 3, T, S, S)`` to normalised features ``(B, D, h, w, C)``, channels last."""
        x = self.patch_embed(x)
        for stage in self.stages:
            x = stage(x)
        return cast(Tensor, self.norm(x))


def _initialise(module: nn.Module) -> None:
    """Swin's initial weights: truncated normal of deviation 0.02, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
