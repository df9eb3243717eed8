"""All frames of a stream in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator

import av
import av.container
import av.error
import av.video.stream

from datamodules.video.limits import Deadline


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
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    begun = False
    for packet in container.demux(stream):
        deadline.check()
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            if begun:
                raise
            continue
        for frame in frames:
            begun = True
            yield frame
