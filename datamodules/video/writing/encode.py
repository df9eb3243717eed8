"""Writes frames to a video file through PyAV, with a fixed quantisation parameter or rate factor.

One thread and no time stamps in the file: the same frames and options give the same bytes, hence the same
decoded frames, on one version of the encoder. The file appears under its name only when it is complete.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from datamodules.common.atomic_write import short_name
from datamodules.common.errors import ConfigurationError, VideoError

_ALIASES = {"h264": "libx264", "hevc": "libx265", "h265": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
# Largest quantisation parameter of 8-bit video; the encoder itself refuses what another depth does not allow.
_QP_LIMIT = {"libx264": 51, "libx265": 51, "libsvtav1": 63, "libvpx-vp9": 63, "mpeg4": 31}
_HALVED_WIDTH = ("yuv420", "yuvj420", "yuv422", "yuvj422", "nv12", "nv16", "p010")
_HALVED_HEIGHT = ("yuv420", "yuvj420", "nv12", "p010")


def encode_video(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    fps: float | Fraction,
    *,
    codec: str = "libx264",
    qp: int | None = None,
    crf: float | None = None,
    preset: str = "veryfast",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
) -> Path:
    """Encode frames into a file, atomically.

    Args:
        path: File to write; its suffix names the container (``.mp4``, ``.mkv``, ``.webm``, ...). An existing file
            is replaced once the new one is complete.
        frames: At least one RGB frame, each uint8 ``(H, W, 3)`` of one size; an array ``(T, H, W, 3)`` will do.
        fps: Frames per second, above 0.
        codec: Name of an encoder of this FFmpeg, or ``h264``, ``hevc``, ``av1``, ``vp9`` for its usual encoder.
        qp: Fixed quantisation parameter (higher is worse): 0..51 for ``libx264`` and ``libx265``, 0..63 for
            ``libsvtav1`` and ``libvpx-vp9``, 1..31 for ``mpeg4``. x264 and x265 read it as that of P frames; their I
            frames get about 3 less and B frames about 2 more. Not together with ``crf``.
        crf: Constant rate factor, for the encoders that have one.
        preset: Speed of the encoder; ignored by the encoders that have none. SVT-AV1 numbers them 0..13: a name
            there means its default.
        pix_fmt: Pixel format of the stream, for example ``yuv420p`` or, 10-bit, ``yuv420p10le``.
        options: Further private options of the encoder, for example ``{"x264-params": "keyint=8"}``; they win over
            the ones above.

    Returns:
        The path that was written.

    Raises:
        ConfigurationError: If an option cannot work, or the frames are none, of unequal size, not uint8 RGB, or of
            an odd size under a pixel format that halves the colour planes.
        VideoError: If FFmpeg cannot write the file.

    Example:
        >>> import numpy, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> encode_video(folder / "grey.mp4", numpy.full((4, 32, 48, 3), 128, numpy.uint8), fps=25, qp=20).name
        'grey.mp4'
    """
    target = Path(path)
    name = _ALIASES.get(codec, codec)
    rate = _frame_rate(fps)
    settings = _encoder_options(name, qp, crf, preset)
    settings.update(options or {})
    stream_of_frames = iter(frames)
    try:
        first = next(stream_of_frames)
    except StopIteration:
        raise ConfigurationError(f"Cannot encode {target}: there are 0 frames; give at least one.") from None
    height, width = _checked_size(first, pix_fmt, target)
    _check_encoder(name, pix_fmt, target)

    pictures = _same_size(chain([first], stream_of_frames), (height, width), target)
    partial: Path | None = None
    try:
        partial = partial_file(target)
        _write(partial, pictures, (height, width), rate, name, pix_fmt, settings)
        partial.chmod(0o644)  # mkstemp gives the file to its owner alone
        partial.replace(target)
    except VideoError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"Cannot encode {target} with {name} ({settings}, {pix_fmt}, {width}x{height}): {error}; "
            "check its folder, its suffix, the options and the free disk space."
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return target


def partial_file(target: Path) -> Path:
    """An empty hidden file beside the target, with its suffix, from which FFmpeg guesses the container."""
    handle, name = tempfile.mkstemp(
        prefix=f".{short_name(target.stem)}.", suffix=f".partial{target.suffix}", dir=target.parent
    )
    os.close(handle)
    return Path(name)


def _write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    size: tuple[int, int],
    rate: Fraction,
    name: str,
    pix_fmt: str,
    settings: dict[str, str],
) -> None:
    """Encode ``frames`` into ``path``; everything has been checked but the suffix."""
    try:
        container = av.open(str(path), "w")
    except ValueError as error:  # PyAV's answer to a suffix that names no container
        raise VideoError(f"Cannot encode {path}: {error}; use a suffix such as .mp4 or .mkv.") from error
    with container:
        stream = container.add_stream(name, rate=rate, options=settings)
        assert isinstance(stream, av.VideoStream)  # the encoder was checked
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.thread_count = 1  # more threads may split the rate control differently
        reformatter = VideoReformatter()  # a frame's own is set up anew for each frame, at a hundred times the cost
        for position, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = reformatter.reformat(picture, format=pix_fmt)
            picture.pts, picture.time_base = position, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _frame_rate(fps: float | Fraction) -> Fraction:
    """``fps`` as a fraction that containers can hold (30000/1001 for 29.97)."""
    if not fps > 0 or fps > 1000:
        raise ConfigurationError(f"fps is {fps}; it must be above 0 and at most 1000.")
    return Fraction(fps).limit_denominator(1001)


def _encoder_options(name: str, qp: int | None, crf: float | None, preset: str) -> dict[str, str]:
    """Translate quality and speed into the private options of one encoder."""
    if qp is not None and crf is not None:
        raise ConfigurationError(f"qp is {qp} and crf is {crf}; give one of the two.")
    limit = _QP_LIMIT.get(name)
    if qp is not None and limit is not None and not 0 <= qp <= limit:
        raise ConfigurationError(f"qp is {qp}; {name} takes 0 to {limit}.")
    chosen: dict[str, str] = {}
    if name in ("libx264", "libx265"):
        chosen["preset"] = preset
    if name == "libx265":  # its own thread pool would ignore thread_count, and it writes to stderr by default
        chosen["x265-params"] = "pools=none:frame-threads=1:log-level=none" + ("" if qp is None else f":qp={qp}")
    elif name == "libsvtav1":
        chosen["svtav1-params"] = "lp=1"
        if preset.isdecimal():
            chosen["preset"] = preset
    if crf is not None:
        chosen["crf"] = str(crf)
        if name == "libvpx-vp9":
            chosen["b"] = "0"  # otherwise crf is only an upper limit of the rate
    if qp is not None and name in ("libx264", "libsvtav1"):
        chosen["qp"] = str(qp)
    elif qp is not None and name != "libx265":
        chosen.update({"qmin": str(qp), "qmax": str(qp), "b": "0" if name == "libvpx-vp9" else "1000000"})
        if name == "libvpx-vp9":
            chosen["crf"] = str(qp)
    return chosen


def _check_encoder(name: str, pix_fmt: str, target: Path) -> None:
    """Name an unknown encoder, one of sound, or an unknown pixel format before anything is written."""
    try:
        encoder = av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        encoder = None
    if encoder is None or encoder.type != "video":
        raise ConfigurationError(
            f"Cannot encode {target}: this FFmpeg has no video encoder {name!r}; libx264, libx265, libsvtav1, "
            "libvpx-vp9 and mpeg4 are the usual ones."
        )
    formats = [known.name for known in encoder.video_formats or []]
    if formats and pix_fmt not in formats:
        raise ConfigurationError(f"Cannot encode {target}: {name} takes no {pix_fmt!r}, only {', '.join(formats)}.")


def _checked_size(frame: NDArray[np.uint8], pix_fmt: str, target: Path) -> tuple[int, int]:
    """Height and width of the first frame, if it can be encoded."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ConfigurationError(
            f"Cannot encode {target}: a frame is {frame.dtype} of shape {frame.shape}; it must be uint8 (H, W, 3)."
        )
    height, width = int(frame.shape[0]), int(frame.shape[1])
    odd = (width % 2 and pix_fmt.startswith(_HALVED_WIDTH)) or (height % 2 and pix_fmt.startswith(_HALVED_HEIGHT))
    if odd:
        raise ConfigurationError(
            f"Cannot encode {target}: the frames are {width}x{height} and {pix_fmt} halves the colour planes; "
            "crop them to even sizes or use yuv444p."
        )
    return height, width


def _same_size(frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], target: Path) -> Iterator[NDArray[np.uint8]]:
    """Pass frames through, and stop at the first whose size or type differs."""
    for position, frame in enumerate(frames):
        if frame.shape != (*size, 3) or frame.dtype != np.uint8:
            raise ConfigurationError(
                f"Cannot encode {target}: frame {position} is {frame.dtype} of shape {frame.shape}, "
                f"the first is uint8 of shape {(*size, 3)}; all must be alike."
            )
        yield frame
