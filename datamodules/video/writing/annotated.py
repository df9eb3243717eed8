"""Writes pictures with their times to a video file, in a thread of its own, with the sound of the source."""

from __future__ import annotations

import os
import queue
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.reading.survey import ODD_LETTERS, describe
from datamodules.video.streaming.info import StreamInfo
from datamodules.video.writing.encode import partial_file
from datamodules.video.writing.picture_encoder import PictureEncoder

QUEUE_BYTES = 24 << 20  # of pictures that wait for the encoder
_POLL = 0.1  # seconds between looks at whether the encoder has failed


class AnnotatedVideoWriter:
    """A video that is written picture by picture.

    The times of the pictures become those of the file, so a variable frame rate stays one. Encoding runs in a thread;
    ``write`` waits when it lags. The file appears under its name when it is closed; until then it is a hidden
    ``.partial`` file beside it, which in mp4 (with FFmpeg 8.1 or later) can be played up to its last seconds even
    after the process was killed. The pictures must be upright: the file has no rotation flag. An odd size is padded by
    one row or column, since the usual pixel formats halve the colour planes.

    Args:
        path: File to write; its suffix names the container. Missing folders are made.
        info: The source; its frame rate guides the encoder, and its pixels keep their shape.
        codec: Encoder of FFmpeg; ``mjpeg`` in an ``.avi`` is the format of Gjorjian's script.
        audio_from: File whose sound is copied; None writes none.
        fps: Fixed frames a second: the times are ignored, as Gjorjian's script does. None keeps the times.
        preset: Speed of x264.
        crf: Constant rate factor of x264, 0..51, higher is worse.

    Raises:
        VideoError: If the file cannot be made. ``write`` and ``close`` raise it when encoding fails.
        ConfigurationError: If an option cannot work.

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: StreamInfo,
        *,
        codec: str = "libx264",
        audio_from: str | None = None,
        fps: float | None = None,
        preset: str = "veryfast",
        crf: float = 21.0,
    ) -> None:
        if fps is not None and not 0 < fps <= 1000:
            raise ConfigurationError(f"fps is {fps:g}; it must be above 0 and at most 1000, or null to keep the times")
        self.path = Path(path)
        self.frames = 0
        aspect = info.get("pixel_aspect", Fraction(1))
        self._encoder = PictureEncoder(codec, info["fps"], fps, preset, crf, audio_from, aspect)
        self._partial = _partial_file(self.path)
        self._items: queue.Queue[tuple[NDArray[np.uint8], float] | None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"write {self.path.name}", daemon=True)
        self._error: Exception | None = None
        self._complete = True
        self._size: tuple[int, ...] = ()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    def write(self, picture: NDArray[np.uint8], time: float) -> None:
        """Add a picture.

        Args:
            picture: Upright RGB, uint8 ``(H, W, 3)``, all of one size; it must not be changed afterwards.
            time: Presentation time in seconds, rising.

        Raises:
            VideoError: If encoding has failed.
            ConfigurationError: If the picture has another shape or type than it must.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ConfigurationError(
                f"{self.path}: a picture is {picture.dtype} of shape {picture.shape}; it must be uint8 (H, W, 3)"
            )
        if self._items is None:
            self._size = picture.shape
            self._items = queue.Queue(maxsize=max(2, QUEUE_BYTES // picture.nbytes))
            self._thread.start()
        elif picture.shape != self._size:
            raise ConfigurationError(
                f"{self.path}: a picture is of shape {picture.shape}, the first of {self._size}; all must be alike"
            )
        self._put((picture, time))
        self.frames += 1

    def close(self, complete: bool = True) -> Path | None:
        """Finish the file and give it its name.

        Args:
            complete: False after an interruption: the sound then ends with the pictures.

        Returns:
            The path, or None when there was no picture, hence no file.

        Raises:
            VideoError: If encoding has failed; what was written before is kept where it can be played.
        """
        if self._closed:
            return self.path if self.frames else None
        self._closed = True
        self._complete = complete
        if self._items is None:
            self._partial.unlink(missing_ok=True)
            return None
        try:
            self._put(None)
        finally:
            self._thread.join()
            self._keep()
        self._raise()
        return self.path

    def _keep(self) -> None:
        """Move the file to its name, unless nothing can be played."""
        if self._error is not None and not _playable(self._partial):
            self._partial.unlink(missing_ok=True)
            return
        self._partial.chmod(0o644)  # mkstemp gives the file to its owner alone
        self._partial.replace(self.path)

    def _put(self, item: tuple[NDArray[np.uint8], float] | None) -> None:
        assert self._items is not None  # made by the first write
        while True:
            self._raise()
            try:
                self._items.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _raise(self) -> None:
        if self._error is not None:
            raise VideoError(
                f"{self.path}: cannot be written ({describe(self._error)}); check the codec, the suffix, the folder "
                "and the free disk space"
            ) from self._error

    def _run(self) -> None:
        assert self._items is not None  # made before the thread starts
        try:
            with self._encoder.opened(self._partial, self._size[0], self._size[1]):
                while (item := self._items.get()) is not None:
                    self._encoder.add(*item)
                self._encoder.finish(self._complete)
        except Exception as error:  # a thread has nobody above it: write and close raise it
            self._error = error


def _partial_file(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return partial_file(target)
    except OSError as error:
        raise VideoError(
            f"{target}: cannot be written ({error.strerror or error}); choose an output folder that you may write to"
        ) from error


def _playable(path: Path) -> bool:
    """True when at least one frame can be decoded."""
    try:
        with av.open(str(path), metadata_errors=ODD_LETTERS) as container:
            return next(container.decode(video=0), None) is not None
    except (av.error.FFmpegError, OSError, IndexError):
        return False
