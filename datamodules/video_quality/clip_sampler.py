"""From the frames of one video to the arrays of one item: clips, fragments and key frames in one decoding pass.

Nothing here imports torch: an exported network, which runs without it, samples its videos by the same program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.video.clips import centred_starts, clip_indices, random_starts
from datamodules.video.fragments import (
    Draw,
    FragmentPlaces,
    cut_fragments,
    enlarged_size,
    hashed_draw,
    place_fragments,
    random_draw,
)
from datamodules.video.reading.contract import FrameChunk, VideoInfo
from datamodules.video_quality.settings import ClipSettings


class Resizing(NamedTuple):
    """How frames, uint8 ``(M, H, W, 3)``, are resized.

    Attributes:
        enlarge: To ``(M, height, width, 3)``, given width and height, where a picture is smaller than the mosaic.
        whole: To key frames ``(M, 3, R, R)``, given R.
    """

    enlarge: Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]
    whole: Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


@dataclass(frozen=True)
class SampledClips:
    """The arrays of one item.

    Attributes:
        fragments: uint8 ``(K, 3, T, S, S)``.
        key_frames: uint8 ``(K, N_t, 3, R, R)``.
        frame_index: int64 ``(K, T)``.
        upsampled: True when the picture was enlarged first.
    """

    fragments: NDArray[np.uint8]
    key_frames: NDArray[np.uint8]
    frame_index: NDArray[np.int64]
    upsampled: bool


def blank_clips(settings: ClipSettings, training: bool) -> SampledClips:
    """Zeros in the shapes of an item, for padding and for files that cannot be read."""
    clips, side, size = settings.clips(training), settings.side, settings.content_size
    return SampledClips(
        fragments=np.zeros((clips, 3, settings.clip_length, side, side), dtype=np.uint8),
        key_frames=np.zeros((clips, settings.num_key_frames, 3, size, size), dtype=np.uint8),
        frame_index=np.zeros((clips, settings.clip_length), dtype=np.int64),
        upsampled=False,
    )


class ClipSampler:
    """Consumer of a video's frames that fills the arrays of one item as the frames come.

    The frames of all clips are asked for at once, each once, so that overlapping clips are decoded once; only the
    mosaics and the key frames are kept, so that memory does not grow with the resolution.

    Args:
        settings: How clips are drawn.
        resizing: How frames are resized.
        seeds: None for evaluation (centred clips, hashed offsets); numbers that seed a training draw.
    """

    def __init__(self, settings: ClipSettings, resizing: Resizing, seeds: tuple[int, ...] | None = None) -> None:
        self.settings = settings
        self._resizing = resizing
        self._seeds = seeds
        self._count = settings.clips(training=seeds is not None)

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Draw clips and offsets for a video; return the frames that are needed."""
        settings = self.settings
        generator = None if self._seeds is None else np.random.default_rng(self._seeds)
        plan = (info.frames, self._count, settings.clip_length, settings.frame_interval)
        starts = centred_starts(*plan) if generator is None else random_starts(*plan, generator)
        self._index = clip_indices(starts, info.frames, settings.clip_length, settings.frame_interval)
        self._size = enlarged_size(info.width, info.height, settings.side)
        self._places = [self._place(self._draw(info, clip, generator)) for clip in range(self._count)]
        self._clips = blank_clips(settings, training=generator is not None)
        return np.unique(self._index)

    def add(self, chunk: FrameChunk) -> None:
        """Cut the fragments of some frames and resize those that are key frames."""
        width, height = self._size
        frames = np.ascontiguousarray(self._resizing.enlarge(chunk.frames, width, height))
        row_of = {index: row for row, index in enumerate(chunk.indices.tolist())}
        for clip in range(self._count):
            wanted = self._index[clip]
            positions = np.flatnonzero(np.isin(wanted, chunk.indices))
            if positions.size == 0:
                continue
            rows = np.array([row_of[index] for index in wanted[positions].tolist()])
            places = self._places[clip]
            there = FragmentPlaces(places.rows[positions], places.columns[positions])
            mosaic = cut_fragments(frames, rows, there, self.settings.fragment_size)
            self._clips.fragments[clip][:, positions] = mosaic.transpose(3, 0, 1, 2)
        self._add_key_frames(chunk, row_of)

    def result(self, info: VideoInfo) -> SampledClips:
        """The filled arrays."""
        return SampledClips(
            fragments=self._clips.fragments,
            key_frames=self._clips.key_frames,
            frame_index=self._index,
            upsampled=self._size != (info.width, info.height),
        )

    def _add_key_frames(self, chunk: FrameChunk, row_of: dict[int, int]) -> None:
        """Resize the key frames of this chunk, each once even when several clips share it."""
        key_index = self._index[:, self.settings.key_positions()]
        for index in np.intersect1d(key_index, chunk.indices).tolist():
            row = row_of[index]
            small = self._resizing.whole(chunk.frames[row : row + 1], self.settings.content_size)[0]
            for clip, key in np.argwhere(key_index == index).tolist():
                self._clips.key_frames[clip, key] = small

    def _place(self, draw: Draw) -> FragmentPlaces:
        width, height = self._size
        return place_fragments(self.settings, width, height, self.settings.clip_length, draw)

    def _draw(self, info: VideoInfo, clip: int, generator: np.random.Generator | None) -> Draw:
        if generator is None:
            return hashed_draw(info.width, info.height, info.frames, clip)
        return random_draw(generator)
