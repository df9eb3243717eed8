"""The sound of a source file beside newly written pictures: its packets are copied, or encoded where they cannot be."""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, Protocol, cast

import av
import av.container
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.codec.codec import Codec
from av.packet import Packet

from datamodules.common.errors import one_line
from datamodules.video.reading.survey import ODD_LETTERS, describe
from datamodules.video.reading.timeline import clock_origin

_log = logging.getLogger(__name__)
_BROKEN = (av.error.FFmpegError, OSError, ValueError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HOPELESS = 100  # broken packets in a row
_GAP = 0.2  # seconds without sound that are more than the overlap of some formats' packets

_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # where only a count is
_USUAL_RATE = 48000
_FAR = {"probesize": "200000000", "analyzeduration": "600000000"}  # bytes, microseconds: for sound that begins late

Way = Literal["copied", "encoded"]


class _Track(Protocol):
    """Turns packets of the source into packets of the output."""

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        """Packets to write for one that was read."""

    def finish(self) -> Iterator[Packet[AudioStream]]:
        """Packets that remain at the end."""


class AudioTrack:
    """All sound of one file, written into an output up to a time as the pictures come: constant memory, one pass.

    A codec that the container, or what plays it, cannot take is encoded as AAC; where that is not possible either, the
    sound is left out with one warning. A broken packet is passed over; of many in a row it is left out from there on.

    Args:
        path: The file.
        output: Where the sound goes; its header is not written yet.
        way: "encoded" copies nothing.
    """

    def __init__(self, path: str, output: av.container.OutputContainer, way: Way = "copied") -> None:
        self._path = one_line(path)
        self._output = output
        self._way = way
        self._broken = 0  # packets in a row
        self._notes: list[str] = []
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._waiting: Packet[AudioStream] | None = None
        self._tracks: dict[int, _Track] = {}
        self._origin = 0.0
        self._begins_at_zero = True
        self._source: av.container.InputContainer | None = None
        try:
            self._source = av.open(path, metadata_errors=ODD_LETTERS)
            if any(not stream.codec_context.sample_rate for stream in _sounds(self._source)):
                self._source.close()
                self._source = av.open(path, metadata_errors=ODD_LETTERS, options=_FAR)
            self._begin(self._source)
        except _BROKEN as error:
            self.give_up(error)

    @property
    def alive(self) -> bool:
        """Whether there is sound that is not left out."""
        return bool(self._tracks)

    def copy_until(self, time: float) -> None:
        """Write the sound that begins up to ``time`` (seconds of the pictures); infinity writes all of it."""
        while self._waiting is not None and self._begin_of(self._waiting) <= time:
            try:
                self._write(self._tracks[self._waiting.stream.index].convert(self._waiting, self._origin))
                self._broken = 0
            except _BROKEN as error:
                self._broken += 1
                if self._broken >= _HOPELESS or getattr(error, "errno", None) in _FULL:
                    self.give_up(error)
                    return
            try:
                self._waiting = next(self._packets, None)
            except _BROKEN as error:
                self.give_up(error)

    def close(self) -> None:
        """Write what the encoders hold back, and close the source."""
        try:
            for track in self._tracks.values():
                self._write(track.finish())
        except _BROKEN as error:
            self.give_up(error)
        self._tracks = {}
        if self._source is not None:
            self._source.close()

    def _begin(self, source: av.container.InputContainer) -> None:
        streams = [stream for stream in _sounds(source) if stream.codec_context.sample_rate]
        if len(streams) < len(source.streams.audio):
            self._notes.append("sound of which nothing is known is left out")
        self._origin = clock_origin(source)
        pictures = (stream for stream in source.streams.video if stream.start_time is not None and stream.time_base)
        self._begins_at_zero = all(cast(int, stream.start_time) >= 0 for stream in pictures)
        for stream in streams:
            track = self._track(stream)
            if track is not None:
                self._tracks[stream.index] = track
        if self._tracks:
            self._packets = _packets(source, [stream for stream in streams if stream.index in self._tracks])
            self._waiting = next(self._packets, None)

    def _track(self, stream: AudioStream) -> _Track | None:
        holds = self._output.supported_codecs
        if self._way == "copied" and stream.codec_context.codec.canonical_name in holds and not self._raw(stream):
            return _Copied(self._output.add_stream_from_template(stream), stream, self._begins_at_zero)
        if "aac" in holds:
            self._notes.append(f"its sound ({stream.codec_context.name}) is encoded as AAC")
            rates = [rate for rate in Codec("aac", "w").audio_rates or () if rate >= stream.codec_context.sample_rate]
            return _Encoded(self._output.add_stream("aac", rate=min(rates, default=_USUAL_RATE)), stream)
        self._notes.append(f"its sound ({stream.codec_context.name}) does not fit the output and is left out")
        return None

    def _raw(self, stream: AudioStream) -> bool:
        """Whether sound that is not compressed would stand in an MP4, where hardly a player looks for it."""
        return self._output.format.name == "mp4" and stream.codec_context.name.startswith("pcm_")

    def _begin_of(self, packet: Packet[AudioStream]) -> float:
        when = packet.pts if packet.pts is not None else packet.dts
        if when is None or packet.time_base is None:
            return -math.inf  # nothing to wait for
        return float(when * packet.time_base) - self._origin

    def _write(self, packets: Iterator[Packet[AudioStream]]) -> None:
        for packet in packets:
            self._output.mux(packet)

    def tell(self) -> None:
        """Say what is not copied."""
        for note in self._notes:
            _log.warning("%s: %s", self._path, note)

    def give_up(self, error: Exception) -> None:
        """Leave the sound out from here on, with a word; a full disk is no fault of the sound, and is raised."""
        if getattr(error, "errno", None) in _FULL:
            raise error
        _log.warning("%s: its sound is left out from here on (%s)", self._path, describe(error))
        self._waiting, self._tracks = None, {}


def _sounds(source: av.container.InputContainer) -> list[AudioStream]:
    return [stream for stream in source.streams.audio if stream.codec_context is not None]


def _packets(source: av.container.InputContainer, streams: list[AudioStream]) -> Iterator[Packet[AudioStream]]:
    for packet in source.demux(*streams):
        if packet.size:  # the last one of a stream is empty
            yield cast("Packet[AudioStream]", packet)


class _Copied:
    """Packets as they are, moved to the clock of the pictures.

    AAC as MPEG-TS has it, each packet with a header of its own, loses these headers; FFmpeg's muxers do that by
    themselves, but not where their header is written late.

    Args:
        stream: Of the output.
        source: Of the file.
        begins_at_zero: Whether no picture comes before the clock's zero, so that sound before it is never heard.
    """

    def __init__(self, stream: AudioStream, source: AudioStream, begins_at_zero: bool) -> None:
        self._stream = stream
        self._begins_at_zero = begins_at_zero
        headed = source.codec_context.name == "aac" and not source.codec_context.extradata
        self._filter = BitStreamFilterContext("aac_adtstoasc", source) if headed else None

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        if self._begins_at_zero and packet.pts is not None and packet.pts + (packet.duration or 0) <= 0:
            return  # an encoder's run-up, which is never heard: it would shift all other times
        if packet.time_base is not None and origin:
            shift = round(origin / float(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        for part in (packet,) if self._filter is None else self._filter.filter(packet):
            part.stream = self._stream
            yield part

    def finish(self) -> Iterator[Packet[AudioStream]]:
        return iter(())


class _Encoded:
    """Sound that is decoded and encoded anew."""

    def __init__(self, stream: AudioStream, source: AudioStream) -> None:
        self._stream = stream
        self._source = source
        named = source.codec_context.layout
        layout = _LAYOUTS.get(named.nb_channels, named.name) if named.name.endswith("channels") else named.name
        stream.codec_context.layout = layout
        self._rate = stream.codec_context.sample_rate
        self._position: int | None = None
        self._resampler = AudioResampler("fltp", layout, self._rate, frame_size=1024)

    def convert(self, packet: Packet[AudioStream], origin: float) -> Iterator[Packet[AudioStream]]:
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            begin = max(0, round(((frame.time or 0.0) - origin) * self._rate))
            # counted from the first one on, since the times of some formats overlap, but for packets that are missing
            if self._position is None or begin > self._position + _GAP * self._rate:
                self._position = begin
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
