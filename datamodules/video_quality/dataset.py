"""A video file as tensors: opened, decoded once, cut into fragments and key frames."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import ClassVar, Literal, TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate, get_worker_info

from datamodules.common.errors import VideoError, one_line
from datamodules.common.sampler import SampleIndex
from datamodules.video.reading.reader import ReaderName, read_video
from datamodules.video.resizing import enlarge, resize_whole
from datamodules.video_quality.batch import VideoQualityBatch, VideoRecord, video_record
from datamodules.video_quality.clip_sampler import ClipSampler, Resizing, SampledClips, blank_clips
from datamodules.video_quality.labels import LabelledVideo
from datamodules.video_quality.settings import ClipSettings

_RESIZING = Resizing(enlarge, resize_whole)


class VideoQualityItem(TypedDict):
    """One video: the fields of ``VideoQualityBatch`` without the batch axis."""

    fragments: Tensor
    key_frames: Tensor
    frame_index: Tensor
    index: int
    mos: float
    pattern: int
    region: tuple[float, float, float, float]
    valid: bool
    video: str
    record: VideoRecord


class VideoQualityDataset(Dataset[VideoQualityItem]):
    """Videos of one split.

    Args:
        videos: The videos, in the order of their list.
        clips: How clips are drawn.
        training: Draw clips and offsets at random, from ``(seed, epoch, index)``; otherwise they follow from the
            video alone.
        seed: Seed of the random draws.
        reader: First reader.
        decode_timeout: Seconds for opening and decoding one file.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709.
        on_error: "raise" stops at a file that cannot be read; "report" gives zeros with ``valid`` False.
        rows: Rows of ``videos`` that are used; None uses all. ``index`` stays the row in the whole list.
    """

    unit: ClassVar[str] = "videos"  # what progress counts

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        clips: ClipSettings,
        *,
        training: bool = False,
        seed: int = 0,
        reader: ReaderName = "decord",
        decode_timeout: float = 60.0,
        tone_mapping: bool = False,
        on_error: Literal["raise", "report"] = "raise",
        rows: Sequence[int] | None = None,
    ) -> None:
        self.videos = list(videos)
        self.rows = list(range(len(self.videos))) if rows is None else list(rows)
        self.clips = clips
        self._training = training
        self._seed = seed
        self._reader: ReaderName = reader
        self._timeout = decode_timeout
        self._tone_mapping = tone_mapping
        self._on_error = on_error

    def __len__(self) -> int:
        """Number of videos that are used."""
        return len(self.rows)

    def __getitem__(self, sample: SampleIndex | int) -> VideoQualityItem:
        """Read one video; a sample that only pads is not read."""
        if isinstance(sample, int):
            sample = SampleIndex(sample)
        row = self.rows[sample.index]
        video = self.videos[row]
        if not sample.valid:
            return _item(
                row, video, blank_clips(self.clips, self._training), video_record(video.path, None, 0.0), valid=False
            )
        seeds = (self._seed, sample.epoch, row) if self._training else None
        start = time.perf_counter()
        sampler = ClipSampler(self.clips, _RESIZING, seeds)
        try:
            info = read_video(
                video.path,
                sampler,
                reader=self._reader,
                timeout=self._timeout,
                threads=_decoding_threads(),
                tone_mapping=self._tone_mapping,
            )
        except VideoError as error:
            if self._on_error == "raise":
                raise
            return self._blank(row, time.perf_counter() - start, str(error))
        except Exception as error:  # of a decoder or of the memory: one file does not end the others
            if self._on_error == "raise":
                raise
            reason = f"reading failed ({type(error).__name__}: {' '.join(str(error).split())})"
            return self._blank(row, time.perf_counter() - start, f"{one_line(video.path)}: {reason}")
        clips = sampler.result(info)
        record = video_record(video.path, info, time.perf_counter() - start, upsampled=clips.upsampled)
        return _item(row, video, clips, record, valid=True)

    def _blank(self, row: int, seconds: float, error: str) -> VideoQualityItem:
        record = video_record(self.videos[row].path, None, seconds, error=error)
        return _item(row, self.videos[row], blank_clips(self.clips, self._training), record, valid=False)


def _decoding_threads() -> int:
    """One decoding thread in a loader's worker process, since there are several of those; FFmpeg's choice elsewhere."""
    return 1 if get_worker_info() is not None else 0


def _item(row: int, video: LabelledVideo, clips: SampledClips, record: VideoRecord, *, valid: bool) -> VideoQualityItem:
    return VideoQualityItem(
        fragments=torch.from_numpy(clips.fragments),
        key_frames=torch.from_numpy(clips.key_frames),
        frame_index=torch.from_numpy(clips.frame_index),
        index=row,
        mos=video.mos,
        pattern=video.pattern,
        region=video.region if video.region is not None else (math.nan,) * 4,
        valid=valid,
        video=video.name,
        record=record,
    )


def collate(items: Sequence[VideoQualityItem]) -> VideoQualityBatch:
    """Stack items into one batch; all must come from one dataset.

    Torch's own stacking of the large tensors writes straight into shared memory inside a worker process.
    """
    return VideoQualityBatch(
        fragments=default_collate([item["fragments"] for item in items]),
        key_frames=default_collate([item["key_frames"] for item in items]),
        frame_index=default_collate([item["frame_index"] for item in items]),
        index=torch.tensor([item["index"] for item in items], dtype=torch.int64),
        mos=torch.tensor([item["mos"] for item in items], dtype=torch.float32),
        pattern=torch.tensor([item["pattern"] for item in items], dtype=torch.int64),
        region=torch.tensor([item["region"] for item in items], dtype=torch.float32),
        valid=torch.tensor([item["valid"] for item in items], dtype=torch.bool),
        video=[item["video"] for item in items],
        record=[item["record"] for item in items],
    )
