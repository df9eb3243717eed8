"""Fragments: small full-resolution crops on a g x g grid, put side by side (grid mini-patch sampling).

Wu et al., "FAST-VQA: Efficient End-to-end Video Quality Assessment with Fragment Sampling", ECCV 2022, section 3.1.
Two points differ from the authors' program on purpose. A video that is smaller than the mosaic is enlarged first and
the grid is laid over the enlarged picture (theirs is laid over the original extent and so sees one corner). The last
position of a cell can be drawn too (theirs stops one pixel before it). In evaluation the offsets come from a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import VideoError
from datamodules.common.settings import argument, settings

Draw = Callable[[int, tuple[int, ...]], NDArray[np.int64]]  # (bound, shape) -> values in 0..bound - 1
_PIXEL_LIMIT = 1 << 26  # of one enlarged frame, 201 MB of RGB: a picture of 1 x 9000 would need far more


@settings(kw_only=False)
class FragmentGrid:
    """The layout of a mosaic."""

    grid_size: int = argument(default=9, help="Cells along each side of the grid of fragments.", low=1)
    fragment_size: int = argument(default=32, help="Side of a fragment in pixels.", low=1)
    aligned: int = argument(default=8, help="Frames over which the fragments stay in place.", low=1)

    @property
    def side(self) -> int:
        """Side S of the mosaic in pixels."""
        return self.grid_size * self.fragment_size


@dataclass(frozen=True)
class FragmentPlaces:
    """Where the fragments of one clip lie.

    Attributes:
        rows: Top row of each fragment for each frame of the clip, int64 ``(T, g, g)``.
        columns: Left column of each fragment, int64 ``(T, g, g)``.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def enlarged_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height after a picture that is smaller than the mosaic is enlarged, keeping its shape.

    Raises:
        VideoError: If the enlarged picture would be absurdly large (a very long and thin one).

    Example:
        >>> enlarged_size(192, 144, 288), enlarged_size(1280, 720, 288)
        ((384, 288), (1280, 720))
    """
    short = min(width, height)
    if short >= side:
        return width, height
    size = max(side, round(width * side / short)), max(side, round(height * side / short))
    if size[0] * size[1] > _PIXEL_LIMIT:
        raise VideoError(f"a picture of {width} x {height} pixels is too thin to be cut into fragments")
    return size


def hashed_draw(width: int, height: int, frames: int, clip: int) -> Draw:
    """Draws for evaluation: a function of the video's size, its frame count and the number of the clip alone.

    A renamed copy of a file so gets the same offsets, on every machine and in every version of NumPy, since the values
    are bytes of SHAKE-256 and come from no random generator.

    Args:
        width: Width of the upright video in pixels.
        height: Height of the upright video in pixels.
        frames: Frames of the video.
        clip: Number of the clip, from 0.
    """
    state = hashlib.shake_256(f"fragments {width} {height} {frames} {clip}".encode("ascii"))
    used = 0

    def draw(bound: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        nonlocal used
        count = int(np.prod(shape))
        stream = state.digest(8 * (used + count))[8 * used :]
        used += count
        values = np.frombuffer(stream, dtype="<u8") % np.uint64(bound)
        return values.astype(np.int64).reshape(shape)

    return draw


def random_draw(generator: np.random.Generator) -> Draw:
    """Draws for training, from a generator."""
    return lambda bound, shape: generator.integers(0, bound, size=shape, dtype=np.int64)


def place_fragments(grid: FragmentGrid, width: int, height: int, clip_length: int, draw: Draw) -> FragmentPlaces:
    """Choose where the fragments of a clip lie in a picture that is no smaller than the grid, in pixels.

    Returns:
        Places that are constant over each run of ``grid.aligned`` frames.
    """
    groups = -(-clip_length // grid.aligned)
    shape = (groups, grid.grid_size, grid.grid_size)
    rows = _origins(height, grid)[:, None] + draw(_room(height, grid), shape)
    columns = _origins(width, grid)[None, :] + draw(_room(width, grid), shape)
    group = np.arange(clip_length) // grid.aligned
    return FragmentPlaces(rows[group], columns[group])


def _origins(length: int, grid: FragmentGrid) -> NDArray[np.int64]:
    """First pixel of each cell along one side."""
    cell = length // grid.grid_size
    return np.minimum(cell * np.arange(grid.grid_size, dtype=np.int64), length - grid.fragment_size)


def _room(length: int, grid: FragmentGrid) -> int:
    """Number of places that a fragment can take within a cell."""
    return max(0, length // grid.grid_size - grid.fragment_size) + 1


def cut_fragments(
    frames: NDArray[np.uint8], which: NDArray[np.int64], places: FragmentPlaces, fragment_size: int
) -> NDArray[np.uint8]:
    """Cut the fragments out of frames and put them side by side, in one gather.

    Each row of a fragment is one item of 3 x fragment_size bytes, so that one fancy index moves them all.

    Args:
        frames: uint8 ``(M, H, W, 3)``, C-contiguous.
        which: Frame that each mosaic is cut from, int64 ``(N,)`` in ``0..M - 1``.
        places: Places for these N mosaics, ``(N, g, g)``.
        fragment_size: Side of a fragment in pixels.

    Returns:
        Mosaics, uint8 ``(N, S, S, 3)`` with S = g * fragment_size.

    Raises:
        ValueError: If a fragment leaves the picture, or the frames are not contiguous.
    """
    count, height, width, _ = frames.shape
    rows, columns = places.rows, places.columns
    if min(rows.min(), columns.min()) < 0 or max(rows.max() - height, columns.max() - width) > -fragment_size:
        raise ValueError(f"a fragment of {fragment_size} pixels leaves the picture of {width} x {height}")
    if not frames.flags.c_contiguous:
        raise ValueError("frames must be contiguous in memory")
    strips = np.ndarray(
        (count, height, width - fragment_size + 1),
        dtype=np.dtype((np.void, 3 * fragment_size)),
        buffer=frames.data,
        strides=frames.strides[:3],
    )
    lines = rows[:, :, None, :] + np.arange(fragment_size)[None, None, :, None]
    mosaic = strips[which[:, None, None, None], lines, columns[:, :, None, :]]
    side = rows.shape[1] * fragment_size
    result: NDArray[np.uint8] = mosaic.view(np.uint8).reshape(len(which), side, side, 3)
    return result
