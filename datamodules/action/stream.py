"""The frames of files, folders, addresses, cameras or standard input as chunks that a network can take, in order."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from datamodules.action.batch import StreamBatch, StreamInfo
from datamodules.common.errors import ConfigurationError, VideoError, one_line
from datamodules.video.read_ahead import Pump
from datamodules.video.streaming.chunks import ChunkBuilder, ChunkPlan
from datamodules.video.streaming.live import LiveFrames, MaxLag
from datamodules.video.streaming.reader import SourceFacts, StreamReader
from datamodules.video.streaming.sources import is_live, sources_of

__all__ = ["ActionStream", "frames_to_device", "is_live", "predict_loader", "sources_of"]

log = logging.getLogger(__name__)

Chunk = TypeVar("Chunk")
_CHUNK_BYTES = 64 << 20
_GATHER = 0.2  # seconds that the first frame of a live chunk waits for others


class ActionStream(IterableDataset[StreamBatch]):
    """Reads sources one after the other; each gives at least one chunk, the last marked ``is_last``.

    Files are decoded in a thread of their own, ``queue_chunks`` chunks ahead. A live source is read in a thread that
    never waits for long: see ``LiveFrames``. Memory does not depend on the length of a source.

    In a run of several processes each takes every n-th source.

    Args:
        sources: Single sources, as ``sources_of`` gives them.
        frame_size: Side S of the square that the network sees, in pixels.
        chunk_bytes: Most bytes of one chunk, with its full-size pictures; a chunk holds one clip at least.
        chunk_frames: Most frames of one chunk; None lets their size decide.
        clip_length: Chunks hold a multiple of it, but for the last of a source.
        rate: Frames a second that the network sees; None means all.
        compare_rate: With a rate, give the network all frames and mark in ``selected`` those that the rate takes.
        with_source: Add the upright pictures in full size.
        queue_chunks: Chunks that wait decoded.
        timeout: Seconds without progress in a file, or while an address is opened, after which it is given up.
        live_timeout: Seconds without a frame after which a live source counts as broken off.
        max_lag: Seconds that a live source may lag before frames are dropped; None never drops. "auto" never drops from
            standard input, where a full pipe makes the sender wait, and allows 0.5 s elsewhere: a network or a camera
            waits for nobody.
        excluded: Sources that are done already, as given or as absolute paths.
        threads: Decoding threads; 0 lets FFmpeg choose.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709.

    Raises:
        ConfigurationError: If an option cannot work.
    """

    def __init__(
        self,
        sources: Sequence[str],
        frame_size: int,
        *,
        chunk_bytes: int = _CHUNK_BYTES,
        chunk_frames: int | None = None,
        clip_length: int = 1,
        rate: float | None = None,
        compare_rate: bool = False,
        with_source: bool = False,
        queue_chunks: int = 2,
        timeout: float = 60.0,
        live_timeout: float = 10.0,
        max_lag: MaxLag = "auto",
        excluded: Collection[str] = (),
        threads: int = 0,
        tone_mapping: bool = False,
    ) -> None:
        self._plan = ChunkPlan(
            frame_size, chunk_bytes, chunk_frames, clip_length, rate, compare_rate, with_source, tone_mapping
        )
        for name, value in (("decode_timeout", timeout), ("live_timeout", live_timeout)):
            if not (value > 0 and math.isfinite(value)):
                raise ConfigurationError(f"{name} is {value:g} s; it must be a positive number of seconds")
        if queue_chunks < 1:
            raise ConfigurationError(f"queue_chunks is {queue_chunks}; at least 1 chunk must fit")
        if isinstance(max_lag, float | int) and not max_lag >= 0:
            raise ConfigurationError(f"max_lag is {max_lag:g} s; it must be 0 or more, auto, or null to drop nothing")
        done = set(excluded)
        self.sources = [source for source in sources if not {source, str(Path(source).absolute())} & done]
        self._queue_chunks = queue_chunks
        self._timeout = timeout
        self._live_timeout = live_timeout
        self._max_lag = max_lag
        self._threads = threads
        self._stopped = False

    @property
    def with_source(self) -> bool:
        """True when chunks carry the full-size pictures."""
        return self._plan.with_source

    def stop(self) -> None:
        """End after the chunk that is being worked on: the source is closed with an empty last chunk."""
        self._stopped = True

    def __iter__(self) -> Iterator[StreamBatch]:
        """Yield the chunks of every source in turn."""
        worker = get_worker_info()
        if worker is not None and worker.num_workers > 1:
            raise ConfigurationError(
                f"num_workers is {worker.num_workers}; a stream has its own thread: set num_workers to 0"
            )
        rank, ranks = _place()
        for video_id in range(rank, len(self.sources), ranks):
            source = self.sources[video_id]
            chunks = self._live(source) if is_live(source) else self._file(source)
            yield from self._numbered(chunks, video_id)
            if self._stopped:
                return

    def _numbered(self, chunks: Iterator[StreamBatch], video_id: int) -> Iterator[StreamBatch]:
        """Set the number of the source, and end it early when asked to."""
        for chunk in chunks:
            chunk["video_id"] = video_id
            yield chunk
            if self._stopped and not chunk["is_last"]:
                yield {**self._empty(chunk["info"]), "video_id": video_id, "dropped": chunk["dropped"]}
                return

    def _file(self, source: str) -> Iterator[StreamBatch]:
        """Chunks of a file; whatever happens, the last one says so."""
        info = _unknown(source)

        def produce(progress: Callable[[], None]) -> Iterator[StreamBatch]:
            reader = StreamReader(source, timeout=self._timeout, threads=self._threads)
            builder: ChunkBuilder | None = None
            try:
                for timed in reader.frames(progress):
                    if builder is None:
                        builder = ChunkBuilder(self._plan, reader.facts(timed.frame))
                    elif builder.full:  # only now is it known that another frame follows
                        yield self._chunk(builder)
                    builder.add(timed)
            finally:
                reader.close()
            yield {**self._last(builder, info, reader.fault), "end": reader.end}

        pump = Pump(produce, source, ahead=self._queue_chunks, timeout=self._timeout)
        try:
            for chunk in pump:
                info = chunk["info"]
                yield chunk
        except VideoError as error:
            yield self._last(None, info, str(error))
        except Exception as error:  # of a decoder or of the memory: one file does not end the others
            reason = " ".join(str(error).split())
            yield self._last(None, info, f"{one_line(source)}: reading failed ({type(error).__name__}: {reason})")

    def _live(self, source: str) -> Iterator[StreamBatch]:
        """Chunks of a live source: small ones, converted here so that dropped frames cost no conversion."""
        frames = LiveFrames(
            source,
            timeout=self._live_timeout,
            max_lag=self._max_lag,
            clip_length=self._plan.clip_length,
            threads=self._threads,
        )
        builder: ChunkBuilder | None = None
        try:
            while taken := frames.take(builder.room if builder else self._plan.clip_length, _GATHER):
                if builder is None:
                    assert frames.facts is not None  # known since the first frame
                    builder = ChunkBuilder(self._plan, frames.facts)
                for timed in taken:
                    builder.add(timed)
                if builder.ready:
                    yield self._chunk(builder, dropped=frames.dropped)
            last = self._last(builder, _unknown(source), frames.fault)
            last["dropped"] = frames.dropped
            if frames.dropped:
                log.warning(
                    "%s: %d frames were dropped, because they came faster than they could be worked on; set max_lag to "
                    "null to lose none and lag behind instead",
                    source,
                    frames.dropped,
                )
            yield last
        finally:
            frames.close()

    def _chunk(self, builder: ChunkBuilder, *, dropped: int = 0, last: bool = False, error: str = "") -> StreamBatch:
        part = builder.take(last=last)
        chunk: StreamBatch = {
            **self._empty(_info(builder.facts), error),
            "frames": torch.from_numpy(part.frames),
            "times": torch.from_numpy(part.times),
            "selected": torch.from_numpy(part.selected),
            "is_last": last,
            "dropped": dropped,
        }
        if part.source is not None:
            chunk["source"] = torch.from_numpy(part.source)
            chunk["source_times"] = torch.from_numpy(part.source_times)
        return chunk

    def _last(self, builder: ChunkBuilder | None, info: StreamInfo, error: str) -> StreamBatch:
        return self._empty(info, error) if builder is None else self._chunk(builder, last=True, error=error)

    def _empty(self, info: StreamInfo, error: str = "") -> StreamBatch:
        """A last chunk without frames."""
        side = self._plan.frame_size
        chunk: StreamBatch = {
            "frames": torch.zeros((0, 3, side, side), dtype=torch.uint8),
            "times": torch.zeros(0, dtype=torch.float64),
            "selected": torch.zeros(0, dtype=torch.bool),
            "video_id": 0,
            "is_last": True,
            "info": info,
            "dropped": 0,
            "status": "error" if error else "ok",
            "error": error,
        }
        if self._plan.with_source:
            chunk["source"] = torch.from_numpy(np.zeros((0, info["height"], info["width"], 3), dtype=np.uint8))
            chunk["source_times"] = torch.zeros(0, dtype=torch.float64)
        return chunk


def predict_loader(stream: ActionStream) -> DataLoader[StreamBatch]:
    """A loader that hands the chunks of a stream through as they are; it decodes in the stream's own thread."""
    return DataLoader(stream, batch_size=None, num_workers=0, collate_fn=_as_it_is)


def frames_to_device(batch: StreamBatch, device: torch.device) -> StreamBatch:
    """Move only what the network sees: full-size pictures stay where they are written from."""
    return {**batch, "frames": batch["frames"].to(device, non_blocking=True)}


def _as_it_is(chunk: Chunk) -> Chunk:
    return chunk


def _place() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _info(facts: SourceFacts) -> StreamInfo:
    return {
        "name": facts.name,
        "path": facts.path,
        "live": facts.live,
        "width": facts.width,
        "height": facts.height,
        "fps": facts.fps,
        "duration": facts.duration,
        "transfer": facts.transfer,
        "pixel_aspect": facts.pixel_aspect,
    }


def _unknown(source: str) -> StreamInfo:
    """What is known of a source that gave no frame."""
    live = is_live(source)
    return {
        "name": source,
        "path": "" if live else str(Path(source).absolute()),
        "live": live,
        "width": 0,
        "height": 0,
        "fps": 0.0,
        "duration": math.nan,
    }
