"""What a user may call a source of video: a file, a folder, a pattern, an address, a camera, or standard input."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.finding import VIDEO_SUFFIXES, videos_below

STANDARD_INPUT = "-"
_PICTURES = frozenset({".bmp", ".dpx", ".exr", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:// is a drive
_CAMERA = re.compile(r"^(?:camera:)?([0-9]+)$")
_DEVICE = re.compile(r"^/dev/video([0-9]+)$")
_CAMERA_SYSTEM = {"linux": "v4l2", "darwin": "avfoundation"}


@dataclass(frozen=True)
class Opening:
    """What FFmpeg is told to open, with which demuxer (None lets it find one) and options."""

    url: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def sources_of(text: str) -> list[str]:
    """Turn what the user gave into single sources, each a valid argument of ``opening``.

    Args:
        text: A file; a folder, of which all videos below it are taken, sorted; a pattern with ``*``, ``?`` or ``[``;
            an address such as ``rtsp://...``; ``camera:0`` or ``0``; or ``-`` for standard input.

    Returns:
        At least one source; a camera always as ``camera:<number>``.

    Raises:
        VideoError: If there is no such file or folder.
        ConfigurationError: If a folder or pattern holds no video, or ``text`` is empty.

    Example:
        >>> sources_of("0"), sources_of("rtsp://host/stream")
        (['camera:0'], ['rtsp://host/stream'])
    """
    if not text.strip():
        raise ConfigurationError("the source is empty; give a file, a folder, an address, camera:0 or -")
    text = _local(text)
    camera = _CAMERA.match(text)
    if camera and not Path(text).exists():
        return [f"camera:{int(camera[1])}"]
    if is_live(text):
        return [text]
    path = Path(text)
    if path.is_dir():
        return _videos_below(path)
    if path.is_file():
        return [text]
    device = _DEVICE.match(text)
    if device and path.exists():
        return [f"camera:{int(device[1])}"]
    if path.exists():
        raise VideoError(f"{text}: this is a pipe, a socket or a device, no file; read a pipe as `annotate - < {text}`")
    if glob.has_magic(text):
        return _videos_like(text)
    raise VideoError(f"{text}: there is no such file or folder; give a video, a folder, an address, camera:0 or -")


def _local(text: str) -> str:
    """The path of a ``file://`` address, as it stands or with its escapes resolved; other texts as they are."""
    if not text.startswith("file://"):
        return text
    path = text.removeprefix("file://")
    return path if Path(path).exists() else unquote(path)


def is_live(source: str) -> bool:
    """True for an address, a camera or standard input, from which frames come once and at their own pace."""
    if source.startswith("file://"):
        return False
    return source == STANDARD_INPUT or bool(re.match(r"camera:[0-9]+$", source)) or bool(_ADDRESS.match(source))


def standard_input_is_file() -> bool:
    """True where standard input was redirected from a regular file, which can be read at leisure."""
    try:
        return stat.S_ISREG(os.fstat(0).st_mode)
    except OSError:
        return False


def opening(source: str) -> Opening:
    """What FFmpeg must open for one source.

    Raises:
        VideoError: If the source is a camera that is not there, or standard input is a terminal.
    """
    if source == STANDARD_INPUT:
        return _standard_input()
    camera = _CAMERA.match(source)
    if camera and source.startswith("camera:"):
        return _camera(int(camera[1]), source)
    if source.startswith(("rtsp://", "rtsps://")):
        return Opening(source, options={"rtsp_transport": "tcp"})  # lossless, and often allowed
    if source.startswith(("udp://", "rtp://", "srt://")):
        return Opening(source, options={"overrun_nonfatal": "1", "fifo_size": "50000"})
    if is_live(source):
        return Opening(source)
    return Opening(str(Path(source).absolute()))  # absolute: "a:b.mp4" would name a protocol


def _standard_input() -> Opening:
    if standard_input_is_file():
        return Opening("/dev/stdin")  # opened anew it can be searched, as an mp4 with its index at the end needs
    try:
        terminal = os.isatty(0)
    except OSError:
        terminal = False
    if terminal:
        raise VideoError("-: standard input is a terminal, not a video; pipe one in, or name a file")
    return Opening("pipe:0")


def _camera(number: int, source: str) -> Opening:
    system = _CAMERA_SYSTEM.get(sys.platform)
    if system is None:
        raise VideoError(f"{source}: cameras are read on Linux and macOS only, not on {sys.platform}; use an address")
    if system != "v4l2":
        return Opening(str(number), system, {"framerate": "30"})
    device = Path(f"/dev/video{number}")
    if not device.exists():
        others = ", ".join(f"camera:{path.name[5:]}" for path in sorted(Path("/dev").glob("video[0-9]*"))) or "none"
        raise VideoError(f"{source}: there is no camera {device}; cameras found: {others}; connect one or name a file")
    return Opening(str(device), system)


def _videos_below(folder: Path) -> list[str]:
    found = videos_below(folder)
    if not found:
        raise ConfigurationError(
            f"{folder}: no video below this folder (looked for {' '.join(sorted(VIDEO_SUFFIXES))}); give another one"
        )
    return found


def _videos_like(pattern: str) -> list[str]:
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    found = sorted(path for path in matches if Path(path).is_file())
    pictures = [path for path in found if Path(path).suffix.lower() in _PICTURES]
    if pictures:
        raise ConfigurationError(
            f"{pattern}: {len(pictures)} of the {len(found)} files are pictures, which are no videos: make one of them "
            f"with `ffmpeg -framerate 25 -pattern_type glob -i '{pattern}' sequence.mkv`, or name videos"
        )
    if not found:
        raise ConfigurationError(f"{pattern}: no file is called like this; check the pattern and quote it in a shell")
    return found
