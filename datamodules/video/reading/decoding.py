"""The packets of a stream, and all its frames in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import av
import av.container
import av.error
import av.video.stream
from av.codec.context import Flags

from datamodules.video.limits import Deadline
from datamodules.video.reading.leading_pictures import LeadingPictures

ThreadKind = Literal["AUTO", "SLICE"]
_Packet: TypeAlias = "av.Packet[av.video.stream.VideoStream]"


class StreamDecoder:
    """Reads and decodes one stream, to the frames and times that ffprobe tells of it.

    AVI tells when pictures are decoded. Of H.264 and HEVC FFmpeg 8 makes presentation times of it that come a frame too
    late; without them its decoders take the decoding times, as ffprobe 5 does. Of HEVC that begins inside a group of
    pictures FFmpeg 8 would hide all that precedes a key frame, where ffprobe 5 hides what refers to the lost ones.

    Args:
        container: An open file.
        stream: Its stream, before its first packet is decoded.
        threads: Decoding threads; 0 lets FFmpeg choose.
        kind: What they share; threads for whole frames delay the first ones.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        threads: int,
        kind: ThreadKind = "AUTO",
    ) -> None:
        self._container, self._stream = container, stream
        stream.thread_type = kind
        context = stream.codec_context
        context.thread_count = threads
        self._leading: LeadingPictures | None = None
        if context.name == "hevc":
            context.flags |= Flags.output_corrupt
            self._leading = LeadingPictures(context.extradata)
        self._guessed = container.format.name == "avi" and context.name in ("h264", "hevc")

    def packets(self) -> Iterator[_Packet]:
        """All packets, the last one empty."""
        for packet in self._container.demux(self._stream):
            if self._guessed:
                packet.pts = None
            yield packet

    def decode(self, packet: _Packet) -> list[av.VideoFrame]:
        """The frames that one packet brings; one that is empty but for a time holds the picture before it.

        Raises:
            FFmpegError: If it is damaged.
        """
        if not packet.size and packet.dts is not None:
            return []
        if self._leading is not None and packet.size and self._leading.skips(bytes(packet)):
            return []
        return packet.decode()


def decoded(
    container: av.container.InputContainer, number: int, threads: int, deadline: Deadline
) -> Iterator[av.VideoFrame]:
    """Decode every frame; packets before the first frame may fail, since a stream may begin between two key frames.

    Args:
        container: An open file.
        number: Number of its stream.
        threads: Decoding threads; 0 lets FFmpeg choose.
        deadline: Checked between packets.

    Raises:
        FFmpegError: If a later packet is damaged.
        VideoError: If the time is over.
    """
    stream = container.streams[number]
    assert isinstance(stream, av.video.stream.VideoStream)
    decoder = StreamDecoder(container, stream, threads)
    begun = False
    for packet in decoder.packets():
        deadline.check()
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            if begun:
                raise
            continue
        for frame in frames:
            begun = True
            yield frame
