"""Run a network over a large image tile by tile and stitch its cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

_DEEPEST_STRIDE = 32  # of common backbones: tiles that start on its grid sample the image as the whole image would be


def tiled(
    forward: Callable[[Tensor], tuple[Tensor, ...]],
    image: Tensor,
    tile: int,
    overlap: int,
    stride: int,
    *,
    tiles_at_a_time: int = 1,
) -> tuple[Tensor, ...]:
    """Run ``forward`` on overlapping tiles; each cell comes from the tile whose centre is nearest.

    The last row and column of tiles end at the image's border, so they overlap more. The image is padded by zeros on
    the right and below to whole cells. Where tile and overlap leave room for it, tiles start on a grid of 32 pixels.

    Args:
        forward: Maps ``(b, 3, h, w)`` to tensors ``(b, ..., h / stride, w / stride)``.
        image: ``(B, 3, H, W)``, any dtype.
        tile: Height and width of a tile in pixels, a multiple of ``stride``.
        overlap: Pixels that neighbouring tiles share at least, 0..tile - 1 (a tile moves on by one cell at the least).
        stride: Pixels a cell is high and wide.
        tiles_at_a_time: Tiles of each image that go through ``forward`` together.

    Returns:
        Each of the tensors stitched: ``(B, ..., ceil(H / stride), ceil(W / stride))``.

    Raises:
        ConfigurationError: If tile, overlap and stride do not fit.

    Example:
        >>> image = torch.arange(5.0).expand(1, 3, 5, 5)
        >>> (double,) = tiled(lambda part: (2 * part,), image, tile=4, overlap=1, stride=1)
        >>> torch.equal(double, 2 * image)
        True
    """
    if stride < 1 or tile < stride or tile % stride or not 0 <= overlap < tile or tiles_at_a_time < 1:
        raise ConfigurationError(
            f"Tiles of {tile} pixels with an overlap of {overlap} do not fit a stride of {stride}: tile_size must be a "
            "multiple of the stride, tile_overlap at least 0 and smaller than tile_size."
        )
    batch, height, width = image.shape[0], image.shape[-2], image.shape[-1]
    grid = math.lcm(stride, _DEEPEST_STRIDE)
    grid = grid if tile % grid == 0 and tile - overlap >= grid else stride
    image = torch.nn.functional.pad(image, (0, -width % grid, 0, -height % grid))
    rows = _Axis.cut(image.shape[-2], tile, overlap, grid)
    columns = _Axis.cut(image.shape[-1], tile, overlap, grid)
    places = [(row, column) for row in rows for column in columns]
    stitched: tuple[Tensor, ...] = ()
    for first in range(0, len(places), tiles_at_a_time):
        chunk = places[first : first + tiles_at_a_time]
        parts = [image[..., row.pixels, column.pixels] for row, column in chunk]
        outputs = forward(torch.cat(parts) if len(parts) > 1 else parts[0])
        if not stitched:
            size = (image.shape[-2] // stride, image.shape[-1] // stride)
            stitched = tuple(output.new_empty(batch, *output.shape[1:-2], *size) for output in outputs)
        for output, whole in zip(outputs, stitched, strict=True):
            for cells, (row, column) in zip(torch.split(output, batch), chunk, strict=True):
                source, target = row.cells(stride), column.cells(stride)
                whole[..., source[1], target[1]] = cells[..., source[0], target[0]]
    keep = (math.ceil(height / stride), math.ceil(width / stride))
    return tuple(whole[..., : keep[0], : keep[1]] for whole in stitched)


class _Axis:
    """One tile along one axis: the pixels it reads and the pixels it is the nearest tile of."""

    def __init__(self, start: int, length: int, nearest: tuple[float, float]) -> None:
        self.start = start
        self.pixels = slice(start, start + length)
        self.nearest = nearest

    @classmethod
    def cut(cls, size: int, tile: int, overlap: int, grid: int) -> list[_Axis]:
        """Cover ``size`` pixels, a multiple of ``grid``, by tiles that start on the grid."""
        if size <= tile:
            return [cls(0, size, (0.0, float(size)))]
        step = max(grid, (tile - overlap) // grid * grid)
        starts = [*range(0, size - tile, step), size - tile]
        bounds = [0.0, *((before + after + tile) / 2 for before, after in pairwise(starts)), float(size)]
        return [cls(start, tile, nearest) for start, nearest in zip(starts, pairwise(bounds), strict=True)]

    def cells(self, stride: int) -> tuple[slice, slice]:
        """Cells that this tile gives, counted in the tile and in the whole image; a tie goes to the earlier tile."""
        low, high = (math.floor(bound / stride + 0.5) for bound in self.nearest)
        first = self.start // stride
        return slice(low - first, high - first), slice(low, high)
