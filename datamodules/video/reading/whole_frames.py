"""Frames of two fields as pictures like any other, the way ffmpeg and decord convert them by default.

PyAV would convert each field alone: other colours than ffmpeg's where chroma is halved, and combs where a picture is
reduced.
"""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter


class WholeFrames:
    """Takes the mark of two fields from frames, without touching their pixels; one object serves one stream."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._kind = (0, 0, "")

    def of(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame without its mark; the frame itself where it has none."""
        if not frame.interlaced_frame:
            return frame
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is None or self._kind != kind:
            self._graph, self._kind = _graph(frame), kind
        self._graph.push(frame)
        whole = self._graph.pull()
        assert isinstance(whole, av.VideoFrame)
        return whole


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    width, height, time_base = frame.width, frame.height, Fraction(1, 90_000)
    source = graph.add_buffer(width=width, height=height, format=frame.format, time_base=time_base)
    mark = graph.add("setfield", "prog")
    sink = graph.add("buffersink")
    source.link_to(mark)
    mark.link_to(sink)
    graph.configure()
    return graph
