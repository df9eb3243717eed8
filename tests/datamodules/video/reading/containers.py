"""Odd but ordinary video files, made by ffmpeg, and what ffprobe says of their frames."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="the programs ffmpeg and ffprobe are missing")
_WRAP = 2**33 / 90_000  # seconds until the clock of MPEG-TS begins anew

ENCODERS = {
    "h264": ["libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12"],
    "h264_open": ["libx264", "-preset", "veryfast", "-x264-params", "open-gop=1:keyint=12:min-keyint=12:bframes=3"],
    "h264_plain": ["libx264", "-preset", "ultrafast", "-bf", "0", "-g", "12"],
    "h264_pyramid": ["libx264", "-preset", "veryfast", "-x264-params", "keyint=20:bframes=7:b-adapt=0"],
    "h264_refresh": ["libx264", "-preset", "veryfast", "-x264-params", "intra-refresh=1:keyint=15:bframes=0"],
    "h264_interlaced": ["libx264", "-preset", "veryfast", "-flags", "+ilme+ildct", "-g", "12", "-bf", "2"],
    "hevc": ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:open-gop=0:keyint=12:bframes=2"],
    "hevc_open": ["libx265", "-preset", "fast", "-x265-params", "log-level=none:open-gop=1:keyint=12:bframes=3"],
    "mpeg2": ["mpeg2video", "-bf", "2", "-g", "12"],
    "mpeg2_interlaced": ["mpeg2video", "-bf", "2", "-g", "12", "-flags", "+ilme+ildct"],
    "mpeg1": ["mpeg1video", "-bf", "2", "-g", "12"],
    "mpeg4": ["mpeg4", "-g", "12"],
    "mpeg4_b": ["mpeg4", "-bf", "2", "-g", "12"],
    "xvid_packed": ["libxvid", "-bf", "2", "-g", "12"],
    "mjpeg": ["mjpeg", "-pix_fmt", "yuvj420p"],
    "vp8": ["libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "10", "-b:v", "9k", "-g", "20", "-cpu-used", "8"],
    "vp9": ["libvpx-vp9", "-lag-in-frames", "10", "-b:v", "100k", "-g", "20", "-cpu-used", "8"],
    "av1": ["libsvtav1", "-preset", "12", "-g", "20"],
    "theora": ["libtheora", "-g", "12"],
    "wmv2": ["wmv2", "-g", "12"],
    "flv1": ["flv", "-g", "12"],
    "ffv1": ["ffv1"],
    "prores": ["prores_ks", "-profile:v", "0"],
}  # fmt: skip
_HOLDS = {
    "mp4": ["h264", "h264_open", "h264_plain", "h264_pyramid", "h264_refresh", "h264_interlaced", "hevc", "hevc_open",
            "mpeg4", "mpeg4_b", "mpeg2", "vp9"],  # ffprobe 5 counts pictures of av1 and mjpeg that an edit list hides
    "mov": ["h264", "h264_open", "hevc", "prores", "mpeg4_b"],
    "mkv": [*(name for name in ENCODERS if name not in ("wmv2", "flv1", "xvid_packed"))],
    "webm": ["vp8", "vp9", "av1"],
    "ts": ["h264", "h264_open", "h264_plain", "h264_pyramid", "h264_refresh", "h264_interlaced", "hevc", "hevc_open",
           "mpeg2", "mpeg2_interlaced"],
    "avi": ["h264_plain", "h264", "mpeg4", "mpeg4_b", "xvid_packed", "mjpeg", "mpeg2", "ffv1"],
    "mpg": ["mpeg1", "mpeg2", "mpeg2_interlaced"],
    "flv": ["h264", "flv1"],
    "wmv": ["wmv2"],
    "ogv": ["theora"],
    "nut": ["h264", "mpeg4_b", "ffv1"],
    "3gp": ["h264", "mpeg4"],
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What ffprobe says: frames as it counts them, and the best effort of each minus the container's start."""

    times: list[float | None]

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.times)


def truth_of(path: Path) -> Truth:
    """Ask ffprobe for the frames of the first video stream."""
    asked = ["-count_frames", "-show_entries", "frame=best_effort_timestamp_time:format=start_time", "-of", "json"]
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", *asked, str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    start = float(found["format"].get("start_time", 0.0))
    told = [frame.get("best_effort_timestamp_time") for frame in found.get("frames", [])]
    return Truth([None if time is None else float(time) - start for time in told])


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True)


@cache
def encoded(folder: Path, codec: str, sound: bool, variable: bool, rate: int = 25) -> Path:
    """Two seconds of a moving picture in Matroska, which keeps what a codec can do; made once."""
    path = folder / f"{codec}-{sound}-{variable}-{rate}.nut"
    encoder = ENCODERS[codec]
    filters = "select='not(mod(n\\,5))+not(mod(n\\,7))+lt(n\\,9)'" if variable else "null"
    audio = ["-f", "lavfi", "-i", "sine=duration=2.2"] if sound else []
    shades = [] if "-pix_fmt" in encoder or codec == "prores" else ["-pix_fmt", "yuv420p"]
    picture = ["-f", "lavfi", "-i", f"testsrc2=size=128x96:rate={rate}:duration=2"]
    voice = ["-c:a", "libmp3lame"] if sound else []
    ffmpeg(*picture, *audio, "-vf", filters, "-vsync", "vfr", *shades, "-c:v", *encoder, *voice, path)
    return path


@dataclass(frozen=True)
class Recipe:
    """How one file is made."""

    codec: str
    container: str
    change: str = "none"
    sound: bool = False
    variable: bool = False

    @property
    def name(self) -> str:
        """Name of the file."""
        parts = [self.codec, self.change, *(["sound"] if self.sound else []), *(["vfr"] if self.variable else [])]
        return "-".join(parts) + f".{self.container}"

    def make(self, folder: Path) -> Path:
        """Make the file.

        Raises:
            CalledProcessError: If ffmpeg cannot.
        """
        raw = folder / "raw"
        raw.mkdir(exist_ok=True)
        path = folder / self.name
        CHANGES[self.change](encoded(raw, self.codec, self.sound, self.variable), path)
        return path


def _copied(before: list[str], after: list[str]) -> Callable[[Path, Path], None]:
    def change(source: Path, target: Path) -> None:
        voice = VOICES.get(target.suffix, [])
        ffmpeg(*before, "-i", source, "-map", "0", "-c", "copy", *voice, *after, target)

    return change


def _bytes_cut(begin: float, end: float) -> Callable[[Path, Path], None]:
    def change(source: Path, target: Path) -> None:
        _copied([], [])(source, target)
        data = target.read_bytes()
        packet = 188 if target.suffix == ".ts" else 1
        first, last = (int(len(data) * part) // packet * packet for part in (begin, end))
        target.write_bytes(data[first:last])

    return change


def _joined(source: Path, target: Path) -> None:
    _copied([], [])(source, target)
    target.write_bytes(target.read_bytes() * 2)


CHANGES: dict[str, Callable[[Path, Path], None]] = {
    "none": _copied([], []),
    "offset": _copied([], ["-output_ts_offset", "7.3"]),
    "late": _copied([], ["-output_ts_offset", "0.31", "-avoid_negative_ts", "disabled"]),
    "negative": _copied([], ["-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"]),
    "wraps": _copied([], ["-output_ts_offset", f"{_WRAP - 2.3:.3f}", "-muxdelay", "0"]),
    "wraps_late": _copied([], ["-output_ts_offset", f"{_WRAP - 1.0:.3f}"]),
    "cut": _copied(["-ss", "0.7"], []),
    "cut_exactly": _copied(["-ss", "0.7"], ["-avoid_negative_ts", "disabled"]),
    "trimmed": _copied([], ["-t", "1.1"]),
    "trimmed_both": _copied(["-ss", "0.55", "-t", "0.8"], []),
    "fragmented": _copied([], ["-movflags", "frag_keyframe+empty_moov+default_base_moof"]),
    "fragmented_cut": _copied(["-ss", "0.7"], ["-movflags", "frag_keyframe+delay_moov"]),
    "front": _copied([], ["-movflags", "+faststart"]),
    "no_edits": _copied([], ["-use_editlist", "0"]),
    "repeated": _copied([], ["-bsf:v", "setts=pts=if(eq(N\\,20)\\,PTS-DURATION\\,PTS)"]),
    "first_lost": _copied([], ["-bsf:v", "noise=drop=lt(n\\,3)"]),
    "some_lost": _copied([], ["-bsf:v", "noise=drop=eq(mod(n\\,12)\\,11)"]),
    "begins_inside": _bytes_cut(0.3, 1.0),
    "joined": _joined,
}  # fmt: skip
_ONLY = {
    "wraps": ("ts",), "wraps_late": ("ts",), "fragmented": ("mp4", "mov"), "fragmented_cut": ("mp4", "mov"),
    "front": ("mp4",), "no_edits": ("mp4", "mov"), "repeated": ("mkv", "nut"), "begins_inside": ("ts", "mpg"),
    "negative": ("mp4", "mov", "ts", "avi"), "cut_exactly": ("mp4", "mov"), "joined": ("ts", "mpg"),
}  # fmt: skip


VOICES = {
    ".webm": ["-c:a", "libopus"], ".mkv": ["-c:a", "libopus"], ".ogv": ["-c:a", "libvorbis"], ".3gp": ["-c:a", "aac"],
}  # fmt: skip


def all_recipes() -> list[Recipe]:
    """Every change of every codec in every container that holds it."""
    return [
        Recipe(codec, container, change, sound, variable)
        for container, codecs in _HOLDS.items()
        for codec in codecs
        for change in CHANGES
        if change != "joined" and container in _ONLY.get(change, (container,))
        if (codec, change) != ("xvid_packed", "first_lost")  # FFmpeg 5 and 8 make other pictures of what is left
        for sound in (False, True)
        for variable in (False, True)
    ]


def some_recipes(count: int, seed: int) -> list[Recipe]:
    """A random choice of them."""
    return random.Random(seed).sample(all_recipes(), count)
