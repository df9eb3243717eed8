"""Run a network over a large image tile by tile and stitch its cells."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.inspection.tiles import cut_into_tiles


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
    if tiles_at_a_time < 1:
        raise ConfigurationError(f"tiles_at_a_time is {tiles_at_a_time}, but one tile at least goes through: raise it.")
    batch, height, width = image.shape[0], image.shape[-2], image.shape[-1]
    cut = cut_into_tiles((height, width), tile, overlap, stride)
    image = torch.nn.functional.pad(image, (0, cut.size[1] - width, 0, cut.size[0] - height))
    places = [(row, column) for row in cut.rows for column in cut.columns]
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
