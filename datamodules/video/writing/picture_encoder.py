"""Encodes pictures with their times into a container, and copies the sound beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import av.codec.codec
import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, one_line
from datamodules.video.reading.survey import describe
from datamodules.video.writing.audio_track import AudioTrack, Way

_log = logging.getLogger(__name__)
_TICKS = 60_000  # of a second: 24, 25, 30, 60 and 30000/1001 frames a second are whole, and MPEG-4 allows no more
_USUAL_FPS = 30.0
_KEY_SECONDS = 2.0
_HD_ROWS = 720  # from here on players expect the colours of BT.709
# Numbers of the matrices: AVCOL_SPC_BT709 and AVCOL_SPC_SMPTE170M in the file, SWS_CS_ITU709 and SWS_CS_ITU601 in the
# conversion.
_BT709, _BT601 = (1, 1), (6, 5)
# Fragments can be played even when the file is never finished; the finished file has one index as usual. The index is
# written late so that it can tell of a first picture or sound that does not begin at zero. FFmpeg before 8.1 writes
# files that cannot be read when asked for both.
PLAYS_UNFINISHED = av.library_versions["libavformat"] >= (62, 12)  # FFmpeg 8.1
_MP4_OPTIONS = (
    {"movflags": "+hybrid_fragmented+frag_keyframe+delay_moov", "flush_packets": "1"} if PLAYS_UNFINISHED else {}
)
_MP4_SUFFIXES = (".mp4", ".m4v", ".mov")


class PictureEncoder:
    """One video stream of one output file.

    Args:
        codec: Encoder of FFmpeg.
        source_fps: Frames a second of the source, for the rate control; 0 where unknown.
        fixed_fps: Frames a second to write whatever the times say; None keeps the times.
        preset: Speed of x264.
        crf: Constant rate factor of x264.
        audio_from: File whose sound is copied; None writes none.
        pixel_aspect: Width of a pixel by its height, which players stretch the picture by.

    Raises:
        ConfigurationError: If there is no such encoder.
    """

    def __init__(
        self,
        codec: str,
        source_fps: float,
        fixed_fps: float | None,
        preset: str,
        crf: float,
        audio_from: str | None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        _check(codec)
        self._codec = codec
        self._fixed = fixed_fps is not None
        self._fps = fixed_fps or (source_fps if 0 < source_fps <= 1000 else _USUAL_FPS)
        self._preset, self._crf = preset, crf
        self._pixel_aspect = pixel_aspect
        self._audio_from = audio_from
        self._audio: AudioTrack | None = None
        self._way: Way = "copied"
        self._reformatter = VideoReformatter()
        self._ticks = -1
        self._count = 0

    @contextmanager
    def opened(self, path: Path, height: int, width: int) -> Iterator[None]:
        """Open the file for pictures of one size; leaving the block writes the index, also after an error."""
        rows, columns = height + height % 2, width + width % 2
        self._padding = ((0, rows - height), (0, columns - width), (0, 0)) if (rows, columns) != (height, width) else ()
        self._begin(path, rows, columns)
        try:
            yield
        finally:
            if self._audio is not None:
                self._audio.close()
            self._container.close()

    def add(self, picture: NDArray[np.uint8], time: float) -> None:
        """Encode one picture, uint8 ``(H, W, 3)``, shown from ``time`` (seconds) on."""
        frame = av.VideoFrame.from_ndarray(self._padded(picture), format="rgb24")
        frame = self._reformatter.reformat(
            frame, format=self._stream.pix_fmt, dst_colorspace=self._colours, interpolation="BILINEAR"
        )
        frame.pts, frame.time_base = self._stamp(time), self._time_base
        if self._audio is not None:
            self._audio.copy_until(time)
        self._mux(frame)

    def finish(self, complete: bool) -> None:
        """Encode what waits, and copy the rest of the sound when the source was read to its end."""
        self._mux(None)
        if self._audio is not None and complete:
            self._audio.copy_until(float("inf"))

    def _mux(self, frame: av.VideoFrame | None) -> None:
        """Encode and write; sound that waited and cannot be written is left out, the pictures stay."""
        for packet in self._stream.encode(frame):
            try:
                self._container.mux(packet)
            except av.error.FFmpegError as error:
                if self._audio is None or not self._audio.alive:
                    raise
                self._audio.give_up(error)

    def _begin(self, path: Path, rows: int, columns: int) -> None:
        """Open the file and write its header; sound that it refuses is encoded, and left out where that fails too."""
        mp4 = path.suffix.lower() in _MP4_SUFFIXES
        self._container = av.open(str(path), "w", container_options=_MP4_OPTIONS if mp4 else {})
        self._stream = self._new_stream(rows, columns)
        if self._audio_from is not None:
            self._audio = AudioTrack(self._audio_from, self._container, self._way)
        try:
            self._container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            if self._audio is None:
                raise
            self._container.close()
            self._audio.close()
            self._audio = None
            if self._way == "encoded":
                source = one_line(str(self._audio_from))
                _log.warning("%s: its sound does not fit %s and is left out (%s)", source, path.suffix, describe(error))
                self._audio_from = None
            self._way = "encoded"
            self._begin(path, rows, columns)
        else:
            if self._audio is not None:
                self._audio.tell()

    def _new_stream(self, rows: int, columns: int) -> av.video.stream.VideoStream:
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._container.add_stream(self._codec, rate=rate, options=self._options())
        assert isinstance(stream, av.video.stream.VideoStream)  # the encoder was checked
        stream.height, stream.width = rows, columns
        stream.pix_fmt = "yuvj420p" if self._codec == "mjpeg" else "yuv420p"
        stated, self._colours = _BT709 if rows >= _HD_ROWS else _BT601
        self._time_base = 1 / rate if self._fixed or self._container.format.name == "avi" else Fraction(1, _TICKS)
        stream.codec_context.time_base = self._time_base
        stream.codec_context.colorspace = stated
        stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        return stream

    def _options(self) -> dict[str, str]:
        if self._codec == "libx264":
            return {"preset": self._preset, "crf": str(self._crf), "g": str(max(1, round(_KEY_SECONDS * self._fps)))}
        if self._codec in ("mjpeg", "mpeg4"):
            return {"qmin": "3", "qmax": "3", "b": "1000000"}  # the rate alone would make blocks of it
        return {}

    def _stamp(self, time: float) -> int:
        """Ticks of the file's clock, rising."""
        wanted = self._count if self._fixed else round(time / self._time_base)
        self._ticks = max(self._ticks + 1, wanted)
        self._count += 1
        return self._ticks

    def _padded(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._padding:
            return np.pad(picture, self._padding, mode="edge")
        return np.ascontiguousarray(picture)


def _check(codec: str) -> None:
    try:
        known = av.codec.Codec(codec, "w").type == "video"
    except av.codec.codec.UnknownCodecError:
        known = False
    if not known:
        raise ConfigurationError(
            f"codec is {codec!r}, which is no video encoder of this FFmpeg; libx264, mpeg4 and mjpeg usually are"
        )
