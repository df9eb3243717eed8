"""The batch contracts of action recognition: single frames to learn from, and chunks of a stream to annotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from datamodules.video.streaming.info import StreamInfo as StreamInfo

if TYPE_CHECKING:  # an exported network runs on the same contract without torch
    from torch import Tensor


class ActionBatch(TypedDict):
    """One batch of B single frames, each with the label of its video.

    Either ``frames`` or ``features`` is there, never both: a cache of frozen features replaces the pictures.

    Attributes:
        frames: Whole frames resized without keeping the aspect ratio, uint8 ``(B, 3, S, S)``, RGB 0..255, S the side
            ``frame_size`` of the data module.
        features: Pooled features of the frozen backbone, float32 ``(B, F)``.
        label: Class of the frame, int64 ``(B,)``, an index into ``class_names``; -1 where unknown.
        video_index: Row of the frame's video in the list of its split, int64 ``(B,)``.
        index: Row of the frame in its split, int64 ``(B,)``.
        repeat: How often the row came before in this epoch, int64 ``(B,)``; nothing says never.
        time: Presentation time of the frame in its video in seconds, float64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
        video: Path of each frame's video as written in its list.
    """

    frames: NotRequired[Tensor]
    features: NotRequired[Tensor]
    label: Tensor
    video_index: Tensor
    index: Tensor
    repeat: NotRequired[Tensor]
    time: Tensor
    valid: Tensor
    video: list[str]


class StreamBatch(TypedDict):
    """The next T frames of one source, in order; chunks of different sources never mix.

    Attributes:
        frames: The frames that the network sees, uint8 ``(T, 3, S, S)``, RGB 0..255; T may be 0 in a last chunk, or
            where a rate option selects none of the frames that ``source`` holds.
        times: Their presentation times in seconds, float64 ``(T,)``, rising.
        selected: bool ``(T,)``; under a rate option with a comparison, the frames that the rate option would take;
            otherwise all True.
        video_id: Number of the source in this run, from 0.
        is_last: True for the last chunk of its source.
        source: Upright full-size pictures, uint8 ``(N, H, W, 3)``; only when a video is written or shown. N = T
            without a rate option.
        source_times: Their presentation times in seconds, float64 ``(N,)``.
        info: The source.
        dropped: Frames that a live source has dropped so far.
        end: Time in seconds at which the last frame of a file ends, in its last chunk; 0 or absent where unknown.
        status: "ok", or "error" when the source could not be opened or broke off (then ``is_last`` is True).
        error: One sentence that names the source; empty when the status is "ok".
    """

    frames: Tensor
    times: Tensor
    selected: Tensor
    video_id: int
    is_last: bool
    source: NotRequired[Tensor]
    source_times: NotRequired[Tensor]
    info: StreamInfo
    dropped: int
    end: NotRequired[float]
    status: Literal["ok", "error"]
    error: str


class StreamPrediction(TypedDict):
    """What ``predict_step`` returns for a `StreamBatch`.

    Attributes:
        scores: Probability of each class, float32 ``(T, C)``, on the CPU; the row of a frame without a score is NaN.
        times: As in the batch.
        video_id: As in the batch.
        is_last: As in the batch.
    """

    scores: Tensor
    times: Tensor
    video_id: int
    is_last: bool
