"""Where the tiles of a large image lie, and which cells of the image each of them gives."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from datamodules.common.errors import ConfigurationError

_DEEPEST_STRIDE = 32  # of common backbones: tiles that start on its grid sample the image as the whole image would be


class Tiles(NamedTuple):
    """The tiles of an image.

    Attributes:
        size: Height and width of the image, filled up to whole steps of the grid that tiles start on.
        rows: Tiles along its height.
        columns: Tiles along its width.
    """

    size: tuple[int, int]
    rows: list[Axis]
    columns: list[Axis]


def cut_into_tiles(size: tuple[int, int], tile: int, overlap: int, stride: int) -> Tiles:
    """Cover an image of ``size``, height and width in pixels.

    Raises:
        ConfigurationError: If tile, overlap and stride do not fit.

    Example:
        >>> cut = cut_into_tiles((40, 8), tile=32, overlap=8, stride=8)
        >>> cut.size, [axis.start for axis in cut.rows], [axis.start for axis in cut.columns]
        ((40, 8), [0, 8], [0])
    """
    if stride < 1 or tile < stride or tile % stride or not 0 <= overlap < tile:
        raise ConfigurationError(
            f"Tiles of {tile} pixels with an overlap of {overlap} do not fit a stride of {stride}: tile_size must be a "
            "multiple of the stride, tile_overlap at least 0 and smaller than tile_size."
        )
    grid = math.lcm(stride, _DEEPEST_STRIDE)
    grid = grid if tile % grid == 0 and tile - overlap >= grid else stride
    height, width = (side + -side % grid for side in size)
    return Tiles((height, width), Axis.cut(height, tile, overlap, grid), Axis.cut(width, tile, overlap, grid))


class Axis:
    """One tile along one axis: the pixels it reads and the pixels it is the nearest tile of."""

    def __init__(self, start: int, length: int, nearest: tuple[float, float]) -> None:
        self.start = start
        self.pixels = slice(start, start + length)
        self.nearest = nearest

    @classmethod
    def cut(cls, size: int, tile: int, overlap: int, grid: int) -> list[Axis]:
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
