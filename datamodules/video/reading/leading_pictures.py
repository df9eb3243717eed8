"""Pictures of HEVC that refer to others before the key frame at which a stream was cut; they are never shown."""

from __future__ import annotations

from datamodules.video.reading.nal_units import NalUnits

_RASL = (8, 9)  # kinds of units: pictures that are skipped up to a stream's second key frame
_KEYS = range(16, 22)
_IDR = (19, 20)  # key frames that no picture looks back beyond


class LeadingPictures:
    """Tells the packets to skip, from the first of a stream on.

    Args:
        header: Global header of the stream.
    """

    def __init__(self, header: bytes | None) -> None:
        self._units = NalUnits("hevc", header)
        self._keys = 0
        self._settled = False

    def skips(self, packet: bytes) -> bool:
        """Whether the next packet, in the order of the file, is such a picture."""
        if self._settled:
            return False
        kinds = (head >> 1 & 63 for head in self._units.heads(packet))
        kind = next((kind for kind in kinds if kind < 32), -1)  # the first that holds a picture
        self._keys += kind in _KEYS
        self._settled = self._keys > 1 or kind in _IDR
        return self._keys <= 1 and kind in _RASL
