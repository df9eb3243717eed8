"""Which frames of a video make up its clips, and which frames of a clip are its key frames."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError

KeyFrameLayout = Literal["segment_centers", "official"]


def clip_span(clip_length: int, frame_interval: int) -> int:
    """Frames from the first to the last of a clip, both counted."""
    return (clip_length - 1) * frame_interval + 1


def centred_starts(frames: int, clips: int, clip_length: int, frame_interval: int) -> NDArray[np.int64]:
    """First frames of the clips of an evaluation: the centres of equal intervals of the possible starts.

    Args:
        frames: Frames of the video, at least 1.
        clips: Number of clips, at least 1.
        clip_length: Frames of a clip.
        frame_interval: Distance of its frames in frames of the video.

    Returns:
        int64 ``(clips,)``, rising; all 0 where the video is not longer than one clip.

    Example:
        >>> centred_starts(240, 3, 32, 2).tolist()
        [29, 89, 148]
        >>> centred_starts(10, 2, 32, 2).tolist()
        [0, 0]
    """
    starts = max(1, frames - clip_span(clip_length, frame_interval) + 1)
    return ((2 * np.arange(clips, dtype=np.int64) + 1) * starts) // (2 * clips)


def random_starts(
    frames: int, clips: int, clip_length: int, frame_interval: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """First frames of the clips of a training item: each drawn alone and evenly from all; see `centred_starts`.

    Returns:
        int64 ``(clips,)``; all 0 where the video is not longer than one clip.
    """
    starts = max(1, frames - clip_span(clip_length, frame_interval) + 1)
    return generator.integers(0, starts, size=clips, dtype=np.int64)


def clip_indices(starts: NDArray[np.int64], frames: int, clip_length: int, frame_interval: int) -> NDArray[np.int64]:
    """Frames of the clips that begin at ``starts``; a video that is too short begins anew (modulo ``frames``).

    Returns:
        int64 ``(clips, clip_length)`` in ``0..frames - 1``.

    Example:
        >>> clip_indices(np.array([0]), frames=5, clip_length=4, frame_interval=2).tolist()
        [[0, 2, 4, 1]]
    """
    steps = np.arange(clip_length, dtype=np.int64) * frame_interval
    return (starts[:, None] + steps) % frames


def key_frame_positions(layout: KeyFrameLayout, clip_length: int, key_frames: int) -> NDArray[np.int64]:
    """Positions within a clip of the frames that the content branch sees.

    Args:
        layout: "segment_centers": the centre of each of ``key_frames`` equal segments (the paper's one frame a
            segment); "official": 0, T/4-1, T/2-1 and 3T/4-1, as the authors' program takes them.
        clip_length: Frames of a clip, T.
        key_frames: Number of key frames; the official layout knows 4 only.

    Returns:
        int64 ``(key_frames,)``, rising.

    Raises:
        ConfigurationError: If the clip is too short for the layout, or the official layout gets another number than 4.

    Example:
        >>> key_frame_positions("segment_centers", 32, 4).tolist(), key_frame_positions("official", 32, 4).tolist()
        ([4, 12, 20, 28], [0, 7, 15, 23])
    """
    if not 1 <= key_frames <= clip_length:
        raise ConfigurationError(f"num_key_frames is {key_frames}; it must lie in 1..clip_length ({clip_length})")
    if layout == "segment_centers":
        return ((2 * np.arange(key_frames, dtype=np.int64) + 1) * clip_length) // (2 * key_frames)
    if key_frames != 4 or clip_length < 4:
        raise ConfigurationError(
            f"key_frame_layout 'official' takes 4 key frames of at least 4 frames, not {key_frames} of {clip_length}; "
            "use 'segment_centers'"
        )
    quarters = np.array([clip_length // 4, clip_length // 2, 3 * clip_length // 4], dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), quarters - 1])
