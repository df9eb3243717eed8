"""The few bits of a stream's header that say whether its frames may be coded as two fields."""

from __future__ import annotations

_START = b"\x00\x00\x01"
_SPS = 7  # NAL unit of H.264
_CHROMA_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
_MPEG2_EXTENSION = _START + b"\xb5"
_SEQUENCE = 1


def interlaced_sequence(codec: str, header: bytes | None) -> bool:
    """Whether a stream may hold fields: H.264 that is not frames alone, MPEG-2 that is not progressive.

    Args:
        codec: FFmpeg's name of the codec.
        header: Its global header, as the container or the first packets have it; without one the answer is yes.
    """
    if codec == "h264":
        return not _frames_only(header or b"")
    if codec == "mpeg2video":
        return not _progressive(header or b"")
    return False


def _progressive(header: bytes) -> bool:
    """``progressive_sequence`` of MPEG-2's sequence extension."""
    place = header.find(_MPEG2_EXTENSION)
    while place >= 0 and place + 5 < len(header):
        if header[place + 4] >> 4 == _SEQUENCE:
            return bool(header[place + 5] & 0x08)
        place = header.find(_MPEG2_EXTENSION, place + 4)
    return False


def _frames_only(header: bytes) -> bool:
    """``frame_mbs_only_flag`` of H.264's sequence parameter set."""
    unit = _sequence_parameters(header)
    try:
        return bool(unit) and _Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00")).frames_only()
    except IndexError:
        return False


def _sequence_parameters(header: bytes) -> bytes:
    """The first sequence parameter set behind its first byte; empty where there is none."""
    if header[:1] == b"\x01" and len(header) > 8:  # as mp4 has it: six bytes, a length of two, the unit
        return header[9 : 8 + int.from_bytes(header[6:8], "big")]
    place = header.find(_START)
    while place >= 0 and place + 4 < len(header):
        if header[place + 3] & 0x1F == _SPS:
            return header[place + 4 :]
        place = header.find(_START, place + 3)
    return b""


class _Bits:
    """Reads numbers of H.264's headers bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def frames_only(self) -> bool:
        """Read a sequence parameter set up to its ``frame_mbs_only_flag``."""
        profile = self._number(8)
        self._number(16)  # constraints and level
        self._exponential()
        if profile in _CHROMA_PROFILES:
            self._chroma()
        self._exponential()  # bits of the frame number
        order = self._exponential()
        if order == 0:
            self._exponential()
        elif order == 1:
            self._number(1)
            self._exponential()
            self._exponential()
            for _ in range(self._exponential()):
                self._exponential()
        self._exponential()  # reference frames
        self._number(1)
        self._exponential()  # width and height
        self._exponential()
        return self._number(1) == 1

    def _chroma(self) -> None:
        kind = self._exponential()
        self._number(1 if kind == 3 else 0)
        self._exponential()  # depths
        self._exponential()
        self._number(1)
        if not self._number(1):
            return
        for number in range(12 if kind == 3 else 8):
            if self._number(1):
                self._skip_scaling(16 if number < 6 else 64)

    def _skip_scaling(self, size: int) -> None:
        last = following = 8
        for _ in range(size):
            if following:
                following = (last + self._signed()) % 256
            last = following or last

    def _signed(self) -> int:
        number = self._exponential()
        return (number + 1) // 2 if number % 2 else -(number // 2)

    def _exponential(self) -> int:
        zeros = 0
        while not self._number(1):
            zeros += 1
        return (1 << zeros) - 1 + self._number(zeros)

    def _number(self, bits: int) -> int:
        value = 0
        for place in range(self._place, self._place + bits):
            value = value << 1 | self._data[place // 8] >> (7 - place % 8) & 1
        self._place += bits
        return value
