"""Pictures of HEVC that refer to others before the key frame at which a stream was cut; they are never shown."""

from __future__ import annotations

import re

_RASL = (8, 9)  # numbers of NAL units: pictures that are skipped after a stream's first key frame
_KEYS = range(16, 22)
_IDR = (19, 20)  # key frames that no picture looks back beyond
_START = re.compile(b"\x00\x00\x01")


class LeadingPictures:
    """Tells the packets to skip, from the first of a stream on.

    Args:
        header: Global header of the stream; it says how long the lengths before NAL units are.
    """

    def __init__(self, header: bytes | None) -> None:
        self._length = (header[21] & 3) + 1 if header and len(header) > 22 and header[0] == 1 else 0
        self._keys = 0
        self._settled = False

    def skips(self, packet: bytes) -> bool:
        """Whether the next packet, in the order of the file, is such a picture."""
        if self._settled:
            return False
        kind = self._picture(packet)
        self._keys += kind in _KEYS
        self._settled = self._keys > 1 or kind in _IDR
        return self._keys == 1 and kind in _RASL

    def _picture(self, packet: bytes) -> int:
        """Kind of the first NAL unit that holds a picture; -1 without one."""
        kinds = self._with_lengths(packet) if self._length else self._with_starts(packet)
        return next((kind for kind in kinds if kind < 32), -1)

    def _with_lengths(self, packet: bytes) -> list[int]:
        kinds, place = [], 0
        while place + self._length < len(packet):
            kinds.append(packet[place + self._length] >> 1 & 63)
            place += self._length + int.from_bytes(packet[place : place + self._length], "big")
        return kinds

    @staticmethod
    def _with_starts(packet: bytes) -> list[int]:
        places = [match.end() for match in _START.finditer(packet)]
        return [packet[place] >> 1 & 63 for place in places if place < len(packet)]
