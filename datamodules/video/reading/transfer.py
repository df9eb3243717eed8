"""Which transfer function a picture is coded by: usual video, or high dynamic range."""

from __future__ import annotations

from typing import Final

import av

PQ: Final = "smpte2084"
HLG: Final = "arib-std-b67"
_NAMES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: PQ, 17: "smpte428",
    18: HLG,
}  # fmt: skip


def transfer_of(frame: av.VideoFrame) -> str:
    """FFmpeg's name of a frame's transfer function, as ffprobe prints it; empty where the file does not say."""
    return _NAMES.get(int(frame.color_trc), "")
