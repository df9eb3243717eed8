"""The units that packets of H.264 and HEVC are made of."""

from __future__ import annotations

import re

_START = re.compile(b"\x00\x00\x01")
# Where the header of mp4 says how long lengths are, and the least size of that header.
_LENGTHS = {"h264": (4, 7), "hevc": (21, 23)}


class NalUnits:
    """Finds the units of a stream's packets.

    Args:
        codec: "h264" or "hevc".
        header: Global header of the stream; it says whether units begin with their length, and of how many bytes.
    """

    def __init__(self, codec: str, header: bytes | None) -> None:
        place, least = _LENGTHS[codec]
        self._length = (header[place] & 3) + 1 if header and len(header) >= least and header[0] == 1 else 0

    def heads(self, packet: bytes) -> list[int]:
        """First byte of every unit, which tells its kind."""
        if not self._length:
            ends = [match.end() for match in _START.finditer(packet)]
            return [packet[end] for end in ends if end < len(packet)]
        heads, place = [], 0
        while place + self._length < len(packet):
            heads.append(packet[place + self._length])
            place += self._length + int.from_bytes(packet[place : place + self._length], "big")
        return heads
