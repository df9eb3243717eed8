"""Fragments lie in their cells, stay in place, and repeat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.common.errors import VideoError
from datamodules.video.fragments import (
    FragmentGrid,
    FragmentPlaces,
    cut_fragments,
    enlarged_size,
    hashed_draw,
    place_fragments,
    random_draw,
)
from datamodules.video.resizing import enlarge, resize_whole

GRIDS = st.builds(FragmentGrid, st.integers(1, 9), st.sampled_from([4, 8, 32]), st.integers(1, 9))


@settings(max_examples=100, deadline=None)
@given(
    grid=GRIDS, width=st.integers(1, 700), height=st.integers(1, 700), length=st.integers(1, 20), clip=st.integers(0, 3)
)
def test_places_lie_in_their_cells_and_hold_still(
    grid: FragmentGrid, width: int, height: int, length: int, clip: int
) -> None:
    if max(width, height) * grid.side / min(width, height) > 20_000:
        return  # too thin: an error, tested below
    wide, high = enlarged_size(width, height, grid.side)
    assert min(wide, high) >= grid.side
    places = place_fragments(grid, wide, high, length, hashed_draw(width, height, 100, clip))
    assert places.rows.shape == places.columns.shape == (length, grid.grid_size, grid.grid_size)
    for starts, extent in ((places.rows, high), (places.columns.swapaxes(1, 2), wide)):
        cell = extent // grid.grid_size
        origin = np.arange(grid.grid_size)[None, :, None] * cell
        assert (starts >= origin).all()
        assert (starts + grid.fragment_size <= origin + cell).all()
    for first in range(0, length, grid.aligned):
        group = slice(first, first + grid.aligned)
        assert (places.rows[group] == places.rows[first]).all()
        assert (places.columns[group] == places.columns[first]).all()


def test_groups_and_clips_differ() -> None:
    grid = FragmentGrid()
    places = place_fragments(grid, 1280, 720, 32, hashed_draw(1280, 720, 240, 0))
    other = place_fragments(grid, 1280, 720, 32, hashed_draw(1280, 720, 240, 1))
    assert (places.rows[0] != places.rows[8]).any()
    assert (places.rows != other.rows).any()


def test_hashed_offsets_are_those_of_the_first_release() -> None:
    """Fixed numbers: a change here would change every published score."""
    places = place_fragments(FragmentGrid(), 1280, 720, 32, hashed_draw(1280, 720, 240, 0))
    assert places.rows[0, 0, :4].tolist() == EXPECTED_ROWS
    assert places.columns[31, 8, :4].tolist() == EXPECTED_COLUMNS


EXPECTED_ROWS = [39, 7, 5, 13]
EXPECTED_COLUMNS = [40, 190, 389, 442]


def test_hashed_draws_are_even() -> None:
    values = hashed_draw(10, 10, 10, 0)(7, (70_000,))
    counts = np.bincount(values, minlength=7)
    assert counts.min() > 9_500
    assert counts.max() < 10_500


def test_draws_continue_within_one_function() -> None:
    draw = hashed_draw(1, 2, 3, 4)
    first, second = draw(1000, (8,)), draw(1000, (8,))
    whole = hashed_draw(1, 2, 3, 4)(1000, (16,))
    assert np.concatenate([first, second]).tolist() == whole.tolist()


def test_one_gather_equals_slice_copies() -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, size=(5, 90, 130, 3), dtype=np.uint8)
    grid = FragmentGrid(3, 16, 2)
    places = place_fragments(grid, 130, 90, 7, random_draw(generator))
    which = np.array([0, 4, 4, 1, 2, 3, 0])
    mosaics = cut_fragments(frames, which, places, 16)
    assert mosaics.shape == (7, 48, 48, 3)
    for time, frame in enumerate(which.tolist()):
        for i in range(3):
            for j in range(3):
                y, x = int(places.rows[time, i, j]), int(places.columns[time, i, j])
                cell = mosaics[time, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
                assert (cell == frames[frame, y : y + 16, x : x + 16]).all()


def test_fragments_outside_the_picture_are_refused() -> None:
    frames = np.zeros((1, 20, 20, 3), dtype=np.uint8)
    corner = np.full((1, 1, 1), 13)
    with pytest.raises(ValueError, match="leaves the picture"):
        cut_fragments(frames, np.zeros(1, dtype=np.int64), FragmentPlaces(corner, corner), 8)
    with pytest.raises(ValueError, match="contiguous"):
        cut_fragments(frames[:, :, ::2], np.zeros(1, dtype=np.int64), FragmentPlaces(corner * 0, corner * 0), 8)


def test_the_grid_covers_the_enlarged_picture() -> None:
    """The right half of a small picture must be seen; the upstream program leaves it out."""
    frame = np.zeros((1, 144, 192, 3), dtype=np.uint8)
    frame[:, :, 96:] = 200
    wide, high = enlarged_size(192, 144, 288)
    assert (wide, high) == (384, 288)
    larger = enlarge(frame, wide, high)
    places = place_fragments(FragmentGrid(), wide, high, 1, hashed_draw(192, 144, 98, 0))
    mosaic = cut_fragments(larger, np.zeros(1, dtype=np.int64), places, 32)[0]
    assert mosaic[:, :96].max() == 0
    assert mosaic[:, -96:].min() == 200


def test_enlarging_rounds_and_keeps_flat_colours() -> None:
    flat = np.full((2, 5, 7, 3), 77, dtype=np.uint8)
    assert (enlarge(flat, 21, 15) == 77).all()
    assert enlarge(flat, 7, 5) is flat


def test_too_thin_pictures_are_refused() -> None:
    with pytest.raises(VideoError, match="too thin"):
        enlarged_size(9000, 1, 288)


def test_key_frames_are_whole_pictures() -> None:
    frame = np.zeros((1, 90, 160, 3), dtype=np.uint8)
    frame[:, :, 80:, 1] = 255
    small = resize_whole(frame, 8)
    assert small.shape == (1, 3, 8, 8)
    assert small[0, 1, :, :3].max() == 0
    assert small[0, 1, :, 5:].min() == 255
    assert small[0, 0].max() == 0


def test_key_frames_are_antialiased() -> None:
    stripes = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    stripes[:, :, ::2] = 255
    inner = resize_whole(stripes, 8)[0, :, :, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 2
