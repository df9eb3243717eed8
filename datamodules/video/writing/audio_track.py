"""The sound of a source file beside newly written pictures: its packets are copied as they are."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol, cast

import av
import av.container
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from datamodules.video.reading.survey import describe
from datamodules.video.reading.timeline import clock_origin

_log = logging.getLogger(__name__)


class _Track(Protocol):
    """Turns packets of the source into packets of the output."""

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        """Packets to write for one that was read."""

    def finish(self) -> Iterator[Packet[AudioStream]]:
        """Packets that remain at the end."""


class AudioTrack:
    """All sound of one file, written into an output up to a time as the pictures come: constant memory, one pass.

    A codec that the container cannot hold is encoded as AAC; where that is not possible either, or the sound is
    damaged, it is left out from there on with one warning.
    """

    def __init__(self, path: str, output: av.container.OutputContainer) -> None:
        self._path = path
        self._output = output
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._waiting: Packet[AudioStream] | None = None
        self._tracks: dict[int, _Track] = {}
        self._origin = 0.0
        self._source: av.container.InputContainer | None = None
        try:
            self._source = av.open(path)
            self._begin(self._source)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._give_up(error)

    def copy_until(self, time: float) -> None:
        """Write the sound that begins up to ``time`` (seconds of the pictures); infinity writes all of it."""
        try:
            while self._waiting is not None and self._begin_of(self._waiting) <= time:
                self._write(self._tracks[self._waiting.stream.index].convert(self._waiting, self._origin))
                self._waiting = next(self._packets, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what the encoders hold back, and close the source."""
        try:
            for track in self._tracks.values():
                self._write(track.finish())
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._give_up(error)
        self._tracks = {}
        if self._source is not None:
            self._source.close()

    def _begin(self, source: av.container.InputContainer) -> None:
        streams = [stream for stream in source.streams.audio if stream.codec_context is not None]
        self._origin = clock_origin(source)
        for stream in streams:
            track = self._track(stream)
            if track is not None:
                self._tracks[stream.index] = track
        if self._tracks:
            self._packets = _packets(source, [stream for stream in streams if stream.index in self._tracks])
            self._waiting = next(self._packets, None)

    def _track(self, stream: AudioStream) -> _Track | None:
        holds = self._output.supported_codecs
        if stream.codec_context.codec.canonical_name in holds:
            return _Copied(self._output.add_stream_from_template(stream))
        if "aac" in holds:
            _log.warning("%s: its sound (%s) is encoded as AAC", self._path, stream.codec_context.name)
            return _Encoded(self._output.add_stream("aac", rate=stream.codec_context.sample_rate), stream)
        _log.warning(
            "%s: its sound (%s) does not fit the output and is left out", self._path, stream.codec_context.name
        )
        return None

    def _begin_of(self, packet: Packet[AudioStream]) -> float:
        when = packet.pts if packet.pts is not None else packet.dts
        if when is None or packet.time_base is None:
            return -math.inf  # nothing to wait for
        return float(when * packet.time_base) - self._origin

    def _write(self, packets: Iterator[Packet[AudioStream]]) -> None:
        for packet in packets:
            self._output.mux(packet)

    def _give_up(self, error: Exception) -> None:
        _log.warning("%s: its sound is left out from here on (%s)", self._path, describe(error))
        self._waiting, self._tracks = None, {}


def _packets(source: av.container.InputContainer, streams: list[AudioStream]) -> Iterator[Packet[AudioStream]]:
    for packet in source.demux(*streams):
        if packet.size:  # the last one of a stream is empty
            yield cast("Packet[AudioStream]", packet)


class _Copied:
    """Packets as they are, moved to the clock of the pictures."""

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        if packet.pts is not None and packet.pts + (packet.duration or 0) <= 0:
            return  # an encoder's run-up, which is never heard: it would shift all other times
        if packet.time_base is not None and origin:
            shift = round(origin / float(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = self._stream
        yield packet

    def finish(self) -> Iterator[Packet[AudioStream]]:
        return iter(())


class _Encoded:
    """Sound that is decoded and encoded anew."""

    def __init__(self, stream: AudioStream, source: AudioStream) -> None:
        self._stream = stream
        self._source = source
        channels = source.codec_context.layout.nb_channels
        layout = {1: "mono", 2: "stereo"}.get(channels, source.codec_context.layout.name)  # some decoders only count
        stream.codec_context.layout = layout
        self._rate = source.codec_context.sample_rate
        self._position: int | None = None
        self._resampler = AudioResampler("fltp", layout, self._rate, frame_size=1024)

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            if self._position is None:  # counted from here on: the times of some formats overlap
                begin = (frame.time or 0.0) - origin
                self._position = max(0, round(begin * self._rate))
            frame.pts = None
            yield from self._encode(frame)

    def finish(self) -> Iterator[Packet[AudioStream]]:
        if self._position is not None:
            yield from self._encode(None)
            yield from self._stream.encode(None)

    def _encode(self, frame: AudioFrame | None) -> Iterator[Packet[AudioStream]]:
        for part in self._resampler.resample(frame):
            part.pts, part.time_base = self._position, Fraction(1, self._rate)
            self._position = (self._position or 0) + part.samples
            yield from self._stream.encode(part)
