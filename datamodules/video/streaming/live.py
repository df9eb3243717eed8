"""Frames of a live source: a thread always reads, a consumer takes the newest, and what comes too late is dropped."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Literal

from datamodules.common.errors import VideoError
from datamodules.video.read_ahead import StoppedError, ends_with_process
from datamodules.video.streaming.reader import SourceFacts, StreamReader, TimedFrame
from datamodules.video.streaming.sources import STANDARD_INPUT

_POLL = 0.1  # seconds between looks at the stop flag and the clock
_BUFFER_SECONDS = 0.5  # frames that wait for the consumer
_BUFFER_FRAMES = 64  # of a recording, which cannot come late
_BUFFER_BYTES = 64 << 20
_MAX_LAG = 0.5  # seconds, of what waits for nobody
_BYTES_A_PIXEL = 1.5  # of a decoded 4:2:0 picture


MaxLag = float | Literal["auto"] | None


def lag_limit(source: str, max_lag: MaxLag) -> float:
    """Seconds that the frames of a live source may come late before some are dropped; infinite where none are.

    Example:
        >>> lag_limit("-", "auto"), lag_limit("rtsp://host/stream", "auto"), lag_limit("-", 2.0)
        (inf, 0.5, 2.0)
    """
    if max_lag == "auto":
        max_lag = None if source == STANDARD_INPUT else _MAX_LAG
    return math.inf if max_lag is None else max_lag


class LiveFrames:
    """Reads a live source in a thread of its own and keeps at most half a second of decoded frames.

    When the consumer lags and those are full, the reader waits a little: a pipe that delivers faster than real time is
    so slowed down and nothing is lost. Once the newest frame is ``max_lag`` seconds later than it could have been, the
    oldest waiting frame is dropped for it. The delay is so bounded by half a second and ``max_lag``, besides the
    consumer's own work on one chunk; without a ``max_lag`` it is not.

    Args:
        source: Address, camera or standard input.
        timeout: Seconds without a frame after which the source counts as broken off.
        max_lag: Seconds that frames may come late before some are dropped; None never drops. "auto" never drops from
            standard input, where a full pipe makes the sender wait, and allows 0.5 s elsewhere: a network or a camera
            waits for nobody. A recording that states its duration (a film by http, a redirected file) never loses
            frames, whatever the value.
        clip_length: Frames that the consumer takes at least.
        threads: Decoding threads; 0 lets FFmpeg choose.
    """

    def __init__(
        self, source: str, *, timeout: float, max_lag: MaxLag = "auto", clip_length: int = 1, threads: int = 0
    ) -> None:
        self.source = source
        self.facts: SourceFacts | None = None
        self.dropped = 0
        self.fault = ""
        self._timeout = timeout
        self._max_lag = lag_limit(source, max_lag)
        self._clip_length = clip_length
        self._threads = threads
        self._waiting: deque[tuple[TimedFrame, float]] = deque()
        self._capacity = 2 * clip_length
        self._best = math.inf  # least (arrival - presentation time) so far: how early a frame can be
        self._ended = False
        self._stopped = False
        self._last_arrival = time.monotonic()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"live {source}", daemon=True)
        self._thread.start()
        ends_with_process(self._thread, self.close)

    def take(self, limit: int, gather: float) -> list[TimedFrame]:
        """Frames that wait, oldest first; none means that the source has ended, or was never there: see ``fault``.

        Args:
            limit: Most frames to take.
            gather: Seconds that the first frame may wait for company, so that chunks are not of one frame each.
        """
        with self._changed:
            while not self._ready(limit, gather):
                self._changed.wait(_POLL / 4 if self._waiting else _POLL)
            frames = [self._waiting.popleft()[0] for _ in range(min(limit, len(self._waiting)))]
            self._changed.notify_all()
        return frames

    def close(self) -> None:
        """Stop reading; a thread that hangs in a read is left behind and ends by itself at its time limit."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _ready(self, limit: int, gather: float) -> bool:
        now = time.monotonic()
        if self._ended or self._stopped:
            return True
        if self._waiting:
            enough = len(self._waiting) >= min(limit, self._capacity)
            return enough or now - self._waiting[0][1] >= gather
        if now - self._last_arrival > self._timeout:
            self.fault = f"{self.source}: no frame came for {self._timeout:g} s; check the source or raise live_timeout"
            self._stopped = True
            return True
        return False

    def _run(self) -> None:
        try:
            reader = StreamReader(self.source, timeout=self._timeout, threads=self._threads)
            if reader.recording:
                self._max_lag = math.inf
            for frame in self._frames(reader):
                self._push(frame)
            self.fault = self.fault or reader.fault
        except StoppedError:
            pass
        except VideoError as error:
            self.fault = str(error)
        except Exception as error:  # a thread has nobody above it: the consumer is told
            self.fault = f"{self.source}: reading failed ({type(error).__name__}: {error})"
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _frames(self, reader: StreamReader) -> Iterator[TimedFrame]:
        for timed in reader.frames(self._check):
            if self.facts is None:
                self.facts = reader.facts(timed.frame)
                self._capacity = self._room(self.facts)
            yield timed

    def _room(self, facts: SourceFacts) -> int:
        wanted = math.ceil(_BUFFER_SECONDS * (facts.fps or 30.0)) if facts.live else _BUFFER_FRAMES
        fitting = _BUFFER_BYTES // max(1, int(facts.width * facts.height * _BYTES_A_PIXEL))
        return max(2 * self._clip_length, min(wanted, fitting), 2)

    def _push(self, timed: TimedFrame) -> None:
        with self._changed:
            arrival = time.monotonic()
            self._last_arrival = arrival
            self._best = min(self._best, arrival - timed.time)
            while len(self._waiting) >= self._capacity:
                self._check()
                spare = self._max_lag - (time.monotonic() - timed.time - self._best)
                if spare <= 0:
                    self._waiting.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait(min(spare, _POLL))
            self._waiting.append((timed, arrival))
            self._last_arrival = time.monotonic()
            self._changed.notify_all()

    def _check(self) -> None:
        if self._stopped:
            raise StoppedError
