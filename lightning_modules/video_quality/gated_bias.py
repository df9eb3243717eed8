"""GRPB, gated relative position bias: two position tables, mixed by how far apart two tokens' fragments were.

Tokens of one fragment are neighbours in the video; tokens of two fragments only look like neighbours in the mosaic.
FAST-VQA therefore learns one table of relative position biases for each case. `WindowGeometry` holds what depends on
the shape of the token map alone (order of tokens, gate, shift mask), `GatedPositionBias` the tables.

References:
    Wu et al., "FAST-VQA: Efficient End-to-End Video Quality Assessment with Fragment Sampling", ECCV 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.derived import KeepsDerived

Gate = Literal["binary", "distance"]
Triple = tuple[int, int, int]

MASKED = -100.0  # what Swin adds between tokens that the shift made neighbours


@dataclass(frozen=True)
class WindowGeometry:
    """What attention in windows needs to know of a token map ``(D, H, W)``, given window and shift.

    Tokens are kept in *window order*: spatial window by spatial window, inside it temporal window by temporal window,
    inside it frame, row, column. Windows at the same place but other times share gate and bias.

    A shift in time joins the first and last frames of the clip in the last temporal window. Swin masks the attention
    between them; here the window is cut at token ``cut`` instead, which is the same attention for half the work.

    Attributes:
        window: Window in tokens, cut to the map.
        spatial_windows: Number of windows in space, nS.
        temporal_windows: Number of windows in time, nD.
        cut: Tokens of the last temporal window before the seam of the shift; 0 where there is no seam.
        order: ``(L,)`` int64, position in the map of each token in window order.
        inverse: ``(L,)`` int64, position in window order of each token of the map.
        gate: ``(nS, P, P)`` float32, P tokens per window and frame: distance of the fragments, or 0 and 1.
        mask: ``(nS, P, P)`` float32 of 0 and -100, or None: attention across the seam of a shift in space.
        relative: ``(N, N)`` int64, row of the tables for two tokens of a window, N = frames * P.
    """

    window: Triple
    spatial_windows: int
    temporal_windows: int
    cut: int
    order: Tensor
    inverse: Tensor
    gate: Tensor
    mask: Tensor | None
    relative: Tensor

    @property
    def tokens(self) -> int:
        """Tokens per window, N."""
        return self.window[0] * self.window[1] * self.window[2]


def fit_window(size: Triple, window: Triple, shift: Triple) -> tuple[Triple, Triple]:
    """Cut the window to the map; an axis that one window covers is not shifted.

    Example:
        >>> fit_window((16, 7, 7), (8, 7, 7), (4, 3, 3))
        ((8, 7, 7), (4, 0, 0))
    """
    fitted = tuple(min(s, w) for s, w in zip(size, window, strict=True))
    moved = tuple(m if s > w else 0 for s, w, m in zip(size, window, shift, strict=True))
    return (fitted[0], fitted[1], fitted[2]), (moved[0], moved[1], moved[2])


def relative_position_index(window: Triple, table_window: Triple) -> Tensor:
    """Row of the bias tables for each pair of tokens in a window, ``(N, N)`` int64.

    Args:
        window: Window in tokens.
        table_window: Window that the tables were made for: ``(2d - 1)(2h - 1)(2w - 1)`` rows.
    """
    axes = [torch.arange(n) for n in window]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    offset = places[:, :, None] - places[:, None, :]
    depth, height, width = table_window
    rows = (offset[0] + depth - 1) * (2 * height - 1) + offset[1] + height - 1
    return rows * (2 * width - 1) + offset[2] + width - 1


def window_geometry(
    size: Triple, window: Triple, shift: Triple, fragments: int, gate: Gate, device: torch.device
) -> WindowGeometry:
    """Work out order, gate, mask and table rows for one token map.

    Args:
        size: Token map D, H, W; each axis a multiple of the (cut) window.
        window: Window in tokens, as the tables were made for.
        shift: Shift in tokens.
        fragments: Fragments per side of the mosaic.
        gate: ``distance`` between fragments (L1, not clipped), or ``binary``: same fragment or not.
        device: Where the tensors go.

    Raises:
        ConfigurationError: If a window does not divide the map.
    """
    table_window, (window, shift) = window, fit_window(size, window, shift)
    if any(s % w for s, w in zip(size, window, strict=True)):
        raise ConfigurationError(
            f"A token map of {size} (frames, rows, columns) cannot be cut into windows of {window}: choose "
            "clip_length, fragment_size and patch_size so that each axis is a multiple of the window."
        )
    frames, height, width = size
    order = _rolled(torch.arange(frames * height * width).view(size), shift)
    order = _partition(order, window).flatten()
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order))
    distance = _fragment_distance(height, width, window, shift, fragments)
    gates = distance if gate == "distance" else distance.clamp(max=1)
    mask = _spatial_mask(height, width, window, shift) if shift[1] or shift[2] else None
    return WindowGeometry(
        window=window,
        spatial_windows=(height // window[1]) * (width // window[2]),
        temporal_windows=frames // window[0],
        cut=(window[0] - shift[0]) * window[1] * window[2] if shift[0] else 0,
        order=order.to(device),
        inverse=inverse.to(device),
        gate=gates.to(device, torch.float32),
        mask=None if mask is None else mask.to(device),
        relative=relative_position_index(window, table_window).to(device),
    )


def _rolled(values: Tensor, shift: Triple) -> Tensor:
    """Move a map ``(D, H, W)`` against the shift, around the ends."""
    return torch.roll(values, tuple(-s for s in shift), (0, 1, 2))


def _partition(values: Tensor, window: Triple) -> Tensor:
    """Map ``(D, H, W)`` to windows ``(nS, nD, N)`` in window order."""
    depth, height, width = values.shape
    d, h, w = window
    split = values.view(depth // d, d, height // h, h, width // w, w)
    return split.permute(2, 4, 0, 1, 3, 5).reshape((height // h) * (width // w), depth // d, d * h * w)


def _one_frame(values: Tensor, window: Triple, shift: Triple) -> Tensor:
    """Spatial map ``(H, W)`` to its shifted windows ``(nS, P)``."""
    _, h, w = window
    return _partition(_rolled(values[None], (0, *shift[1:])), (1, h, w))[:, 0]


def _fragment_distance(height: int, width: int, window: Triple, shift: Triple, fragments: int) -> Tensor:
    """L1 distance between the fragments of two tokens at one time, ``(nS, P, P)`` int64."""
    row = (torch.arange(height) * fragments // height)[:, None].expand(height, width)
    column = (torch.arange(width) * fragments // width)[None, :].expand(height, width)
    total = torch.zeros(1, dtype=torch.int64)
    for axis in (row, column):
        windows = _one_frame(axis, window, shift)
        total = total + (windows[:, :, None] - windows[:, None, :]).abs()
    return total


def _spatial_mask(height: int, width: int, window: Triple, shift: Triple) -> Tensor:
    """-100 between tokens on two sides of the seam that the shift in space makes, else 0: ``(nS, P, P)``."""
    # After the roll the last `shift` rows and columns come from the other end of the map.
    row = (torch.arange(height) >= height - shift[1]).long()[:, None].expand(height, width)
    column = (torch.arange(width) >= width - shift[2]).long()[None, :].expand(height, width)
    side = _partition((2 * row + column)[None], (1, *window[1:]))[:, 0]
    return torch.where(side[:, :, None] == side[:, None, :], 0.0, MASKED)


@dataclass(frozen=True)
class GatheredTables:
    """The tables, gathered for every pair of tokens, so that ``bias = base + gate * slope``.

    Attributes:
        base: ``(heads, N, N)``, the bias inside a fragment.
        slope: ``(heads, N, N)``, bias between fragments minus bias inside one; None without a fragment table.
    """

    base: Tensor
    slope: Tensor | None


class GatedPositionBias(KeepsDerived[GatheredTables]):
    """Tables of relative position biases and their mixture by the gate.

    The names are those of all released weights, and read against intuition: ``fragment_position_bias_table`` holds
    *inside* a fragment (gate 0), ``relative_position_bias_table`` between fragments. With g the gate,
    ``bias = relative * g + fragment * (1 - g)``.

    In training the tables are gathered in every step, so that both get a gradient. In evaluation without gradient the
    gathered tables are kept (`KeepsDerived`); the bias of each window is a multiply-add of them.

    Args:
        window: Window in tokens that the tables cover.
        heads: Attention heads.
        gated: Without it there is one table, and no gate (the last stage of the released weights).
    """

    def __init__(self, window: Triple, heads: int, gated: bool = True) -> None:
        super().__init__()
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, heads), std=0.02))
        self.fragment_position_bias_table: nn.Parameter | None = None
        if gated:
            self.fragment_position_bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, heads), std=0.02))

    def gather(self, geometry: WindowGeometry, dtype: torch.dtype) -> GatheredTables:
        """Gather the tables for a geometry in the dtype of the computation, kept in evaluation without gradient."""
        tables = [self.relative_position_bias_table]
        if self.fragment_position_bias_table is not None:
            tables.append(self.fragment_position_bias_table)

        def build() -> GatheredTables:
            gathered = [_lookup(table, geometry.relative, dtype) for table in tables]
            if len(gathered) == 1:
                return GatheredTables(gathered[0], None)
            return GatheredTables(gathered[1], gathered[0] - gathered[1])

        if self.training or torch.is_grad_enabled():
            return build()
        return self.derived((geometry.window, geometry.relative.device, dtype), tables, build)

    def forward(self, tables: GatheredTables, geometry: WindowGeometry, start: int, stop: int) -> Tensor:
        """Bias of the spatial windows ``start`` to ``stop``, shift mask included: ``(n or 1, heads, N, N)``."""
        if tables.slope is None:
            bias = tables.base.unsqueeze(0)
        else:
            gate = _over_frames(geometry.gate[start:stop], geometry.window[0], tables.base.dtype)
            bias = torch.addcmul(tables.base.unsqueeze(0), gate, tables.slope.unsqueeze(0))
        if geometry.mask is not None:
            bias = bias + _over_frames(geometry.mask[start:stop], geometry.window[0], tables.base.dtype)
        return bias


def _lookup(table: Tensor, relative: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows ``(R, heads)`` gathered to ``(heads, N, N)``; `embedding` has the one fast backward pass of its kind."""
    return F.embedding(relative, table).permute(2, 0, 1).to(dtype).contiguous()


def _over_frames(pairs: Tensor, frames: int, dtype: torch.dtype) -> Tensor:
    """Repeat a spatial map of pairs ``(n, P, P)`` over the frames of a window: ``(n, 1, frames * P, frames * P)``."""
    count, places = pairs.shape[:2]
    spread = pairs.to(dtype)[:, None, None, :, None, :].expand(count, 1, frames, places, frames, places)
    return spread.reshape(count, 1, frames * places, frames * places)
