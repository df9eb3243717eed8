"""The packets of a video stream, and whether they tell its frames: usually one each, in the order of their times.

Where they do not, the frames are counted by decoding them; ``why_decode`` says for which streams that is so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import av
import av.video.stream
import numpy as np
from numpy.typing import NDArray

from datamodules.video.reading.bits import interlaced_sequence
from datamodules.video.reading.nal_units import NalUnits
from datamodules.video.reading.timeline import ABSURD

_NOT_SHOWN_VP8 = 0x10  # the bit of a VP8 frame's first byte that is set where the frame is shown
_IDR = 5  # kind of a unit of H.264: a picture that none after it looks back beyond
_SKIPPED = 12  # bytes; a picture of MPEG-4 that stands for a repeated one, or for one packed with its neighbour


class LastLength:
    """For how long the last picture is shown: as its packet says, and as empty packets behind it hold it.

    Attributes:
        ticks: That time in units of the stream's time base; 0 where unknown.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self._begin: int | None = None

    def add(self, packet: av.Packet[av.video.stream.VideoStream]) -> None:
        """Take the next packet of the file."""
        length = packet.duration or 0
        if packet.size:
            self.ticks, self._begin = length, packet.pts
        elif packet.pts is not None and self._begin is not None:
            self.ticks = packet.pts - self._begin + length


@dataclass
class PacketTable:
    """What the packets of one stream say, in the order of the file.

    Attributes:
        codec: FFmpeg's name of the codec.
        header: Its global header.
        pts: Presentation times in units of the stream's time base; None where unknown.
        keys: Whether each packet begins a group of pictures.
        delayed: Whether any is shown at another time than it is decoded.
        hidden: Packets that an edit list (a trimmed clip) cuts away.
        unsafe: Whether a reader that begins at some key frame shows other pictures than one that began before it: a
            picture looks back beyond it, or the next key frame is decoded before it is shown and may be found instead.
        last_length: For how long the last one of the file is shown.
        suspicious: Why the packets do not tell the frames, as far as one of them tells; empty where none does.
    """

    codec: str
    header: bytes | None = None
    pts: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    delayed: bool = False
    hidden: int = 0
    unsafe: bool = False
    last_length: LastLength = field(default_factory=LastLength)
    suspicious: str = ""

    def __post_init__(self) -> None:
        self._newest_key: int | None = None  # when it is shown
        self._units = NalUnits("h264", self.header) if self.codec == "h264" else None

    def add(self, packet: av.Packet[av.video.stream.VideoStream]) -> None:
        """Note one packet; one that is empty but for a time holds the picture before it."""
        if packet.is_discard:
            self.hidden += bool(packet.size)
            return
        self.last_length.add(packet)
        if not packet.size:
            return
        self.pts.append(packet.pts)
        self.keys.append(packet.is_keyframe)
        self.delayed = self.delayed or packet.pts != packet.dts
        if packet.is_keyframe and self._units is not None and len(self.pts) > 1:
            self.unsafe = self.unsafe or not any(head & 31 == _IDR for head in self._units.heads(bytes(packet)))
        if packet.is_keyframe:
            shown, began = self._newest_key, packet.dts
            self.unsafe = self.unsafe or (shown is not None and began is not None and began <= shown)
            self._newest_key = packet.pts
        if packet.is_corrupt:
            self.suspicious = "its packets are marked as damaged"
        elif self.codec == "vp8" and not bytes(packet)[0] & _NOT_SHOWN_VP8:
            self.suspicious = "it holds pictures that are not shown"
        elif self.codec == "mpeg4" and packet.size < _SKIPPED:
            self.suspicious = "it holds pictures without content"

    @property
    def count(self) -> int:
        """Packets that are shown."""
        return len(self.pts)

    def ticks(self) -> NDArray[np.int64]:
        """Their presentation times, rising; only where ``why_decode`` says nothing."""
        return np.sort(np.array(self.pts, dtype=np.int64))

    def why_decode(self, stream: av.video.stream.VideoStream) -> str:
        """Why the frames of the stream are not known from these packets; empty where they are."""
        known = [pts for pts in self.pts if pts is not None]
        if self.suspicious:
            return self.suspicious
        if len(known) < len(self.pts):
            return "its packets tell no times"
        if len(set(known)) < len(known):
            return "times are repeated"
        if max(map(abs, known)) * (stream.time_base or 1) > ABSURD:
            return "its packets tell no sensible times"
        reordered = stream.codec_context.has_b_frames and self.codec in ("h264", "mpeg4")
        if reordered and (self.codec == "mpeg4" or not self.delayed):
            return "its packets may not follow its pictures"
        if not self.hidden and (not self.keys[0] or min(known) < known[0]):
            return "it begins inside a group of pictures"
        if interlaced_sequence(self.codec, self.header):
            return "it may be coded in fields"
        return ""

    def open_groups(self) -> bool:
        """True where pictures look back beyond a key frame: no reader may begin there."""
        if self.unsafe:
            return True
        newest: int | None = None
        for pts, key in zip(self.pts, self.keys, strict=True):
            if pts is None or (newest is not None and pts < newest):
                return True
            newest = pts if key else newest
        return False
