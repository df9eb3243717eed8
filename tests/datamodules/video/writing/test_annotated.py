"""Annotated video: the times, the sound and the size of the source, and a valid file whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.action.batch import StreamInfo
from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.reading.orientation import Orientation
from datamodules.video.reading.timeline import clock_origin
from datamodules.video.streaming.reader import PictureConverter, StreamReader
from datamodules.video.writing.annotated import AnnotatedVideoWriter
from datamodules.video.writing.picture_encoder import PLAYS_UNFINISHED, PictureEncoder
from tests.datamodules.samples import decode
from tests.datamodules.video.reading.containers import Recipe, needs_ffmpeg

INFO: StreamInfo = {
    "name": "clip.mp4",
    "path": "",
    "live": False,
    "width": 64,
    "height": 48,
    "fps": 25.0,
    "duration": 1.0,
}
UNEVEN = [0.08, 0.1, 0.2, 0.5, 0.504, 1.25, 4.0]


def picture(height: int = 48, width: int = 64, level: int = 0) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 4, columns * 3, rows + columns + level], axis=-1).clip(0, 255).astype(np.uint8)


def write(path: Path, times: list[float], size: tuple[int, int] = (48, 64), **options: object) -> Path | None:
    with AnnotatedVideoWriter(path, INFO, **options) as writer:  # type: ignore[arg-type]
        for number, moment in enumerate(times):
            writer.write(picture(*size, level=number), moment)
    return writer.close()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_times_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert write(path, UNEVEN) == path
    pictures, times = decode(path)
    assert times == pytest.approx(UNEVEN, abs=1e-3)
    assert np.abs(pictures[3].astype(int) - picture(level=3)).mean() < 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_odd_sizes_are_padded(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "odd.mp4"
    write(path, [0.0, 0.04], size)
    pictures, _ = decode(path)
    assert pictures.shape[1:3] == tuple(side + side % 2 for side in size)


def test_one_picture_and_none(tmp_path: Path) -> None:
    assert write(tmp_path / "one.mp4", [0.0]) == tmp_path / "one.mp4"
    assert len(decode(tmp_path / "one.mp4")[1]) == 1
    assert write(tmp_path / "none.mp4", []) is None
    assert list(tmp_path.iterdir()) == [tmp_path / "one.mp4"]


def test_fixed_rate_ignores_the_times(tmp_path: Path) -> None:
    path = tmp_path / "legacy.avi"
    write(path, UNEVEN, codec="mjpeg", fps=30.0)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
    assert decode(path)[1] == pytest.approx([index / 30 for index in range(len(UNEVEN))], abs=1e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_keep_their_shape(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"wide.{suffix}"
    with AnnotatedVideoWriter(target, {**INFO, "pixel_aspect": Fraction(16, 11)}) as writer:
        for moment in (0.0, 0.04):
            writer.write(np.zeros((48, 64, 3), dtype=np.uint8), moment)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


def test_times_that_do_not_rise_still_give_every_picture(tmp_path: Path) -> None:
    write(tmp_path / "flat.mp4", [0.0, 0.0, 0.0, 1.0])
    assert (np.diff(decode(tmp_path / "flat.mp4")[1]) > 0).all()


def annotated(source: Path, target: Path, pictures: int | None = None, small: bool = True) -> list[float]:
    """Copy a source picture by picture (reduced to be quick), with its sound; returns the times of the source."""
    reader = StreamReader(str(source))
    times: list[float] = []
    for frame, moment in reader.frames():
        if not times:
            facts = reader.facts(frame)
            converter = PictureConverter(facts, 16)
            info: StreamInfo = {**INFO, "fps": facts.fps}
            writer = AnnotatedVideoWriter(target, info, audio_from=str(source))
        image = np.empty((3, 16, 16) if small else (facts.height, facts.width, 3), dtype=np.uint8)
        (converter.square if small else converter.full)(frame, image)
        writer.write(image.transpose(1, 2, 0) if small else image, moment)
        times.append(moment)
        if len(times) == pictures:
            break
    writer.close(complete=pictures is None)
    return times


def sound(path: Path, number: int = 0) -> tuple[str, list[float], bytes]:
    """Codec, packet times from zero on, and the packets themselves."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        packets = [packet for packet in container.demux(stream) if packet.size and packet.pts is not None]
        heard = [packet for packet in packets if packet.pts + packet.duration > 0]
        return stream.codec_context.name, [p.pts * p.time_base for p in heard], b"".join(bytes(p) for p in heard)


@pytest.mark.parametrize("name", ["torchcodec/nasa_13013.mp4", "decord/flipping_a_pancake.mkv", "mmaction2/test.avi"])
def test_sound_of_real_files_is_copied(shared_dir: Path, tmp_path: Path, name: str) -> None:
    source, target = shared_dir / "data" / "action" / name, tmp_path / "out.mp4"
    times = annotated(source, target)
    assert decode(target)[1] == pytest.approx(times, abs=1e-3)
    codec, moments, content = sound(target)
    expected = sound(source)
    assert codec == expected[0]
    assert content == expected[2]
    with av.open(str(source)) as container:
        origin = clock_origin(container)  # times count from here, those of the pictures too
    assert np.array(moments, dtype=float) == pytest.approx(np.array(expected[1], dtype=float) - origin, abs=2e-3)


def test_rotated_source_plays_upright(shared_dir: Path, tmp_path: Path) -> None:
    annotated(shared_dir / "data" / "action" / "decord" / "video_90.mov", tmp_path / "out.mp4", small=False)
    reader = StreamReader(str(tmp_path / "out.mp4"))
    facts = reader.facts(next(reader.frames()).frame)
    assert (facts.width, facts.height, facts.orientation) == (320, 568, Orientation())


def test_sound_ends_with_the_pictures_after_an_interruption(shared_dir: Path, tmp_path: Path) -> None:
    times = annotated(shared_dir / "data" / "action" / "decord" / "flipping_a_pancake.mkv", tmp_path / "o.mp4", 60)
    assert float(sound(tmp_path / "o.mp4")[1][-1]) == pytest.approx(times[-1], abs=0.1)
    assert len(decode(tmp_path / "o.mp4")[1]) == 60


def with_tone(path: Path, codec: str, rate: int = 44100) -> Path:
    """A file with a second of sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono"
        tone = (np.sin(np.arange(rate) / 20) * 9000).astype(np.int16)[None]
        for start in range(0, rate, 1024):
            frame = av.AudioFrame.from_ndarray(tone[:, start : start + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            for converted in av.AudioResampler(stream.codec_context.format).resample(frame):
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


def test_sound_that_does_not_fit_is_encoded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = with_tone(tmp_path / "tone.avi", "adpcm_ima_wav")
    write(tmp_path / "out.mp4", [0.1 * index for index in range(10)], audio_from=str(source))
    codec, moments, _ = sound(tmp_path / "out.mp4")
    assert codec == "aac"
    assert float(moments[-1]) == pytest.approx(1.0, abs=0.1)
    assert [record.message for record in caplog.records] == [f"{source}: its sound (adpcm_ima_wav) is encoded as AAC"]


def test_sound_that_fits_nowhere_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = with_tone(tmp_path / "tone.avi", "pcm_s16le")
    write(tmp_path / "out.webm", [0.0, 0.1], codec="libvpx-vp9", audio_from=str(source))
    assert len(decode(tmp_path / "out.webm")[1]) == 2
    assert len(caplog.records) == 1
    assert "does not fit the output and is left out" in caplog.records[0].message


def heard(path: Path) -> tuple[int, NDArray[np.float32]]:
    """Rate of the sound and its first channel."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return stream.rate, np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])


@pytest.mark.parametrize(
    ("name", "codec", "rate", "held"),
    [
        ("headers.ts", "aac", 44100, 44100),  # each packet has one
        ("raw.mkv", "pcm_s16le", 192000, 48000),
        ("odd.mkv", "pcm_s16le", 12345, 16000),
    ],
)
def test_sound_is_heard_from_an_mp4(tmp_path: Path, name: str, codec: str, rate: int, held: int) -> None:
    source = with_tone(tmp_path / name, codec, rate)
    write(tmp_path / "out.mp4", [0.1 * index for index in range(10)], audio_from=str(source))
    assert len(decode(tmp_path / "out.mp4")[1]) == 10
    found, wave = heard(tmp_path / "out.mp4")
    assert found == held
    assert len(wave) / held == pytest.approx(1.0, abs=0.1)
    assert np.abs(wave[held // 4 : held // 2]).max() == pytest.approx(9000 / 32768, rel=0.1)


@needs_ffmpeg
def test_sound_before_the_zero_of_a_clock_that_wraps_is_kept(tmp_path: Path) -> None:
    source = Recipe("h264", "ts", "wraps", sound=True).make(tmp_path)
    write(tmp_path / "out.mp4", [0.1 * index for index in range(20)], audio_from=str(source))
    _, moments, _ = sound(tmp_path / "out.mp4")
    assert float(moments[0]) == pytest.approx(0, abs=0.1)
    assert float(moments[-1]) == pytest.approx(2.2, abs=0.1)
    assert len(heard(tmp_path / "out.mp4")[1]) / heard(tmp_path / "out.mp4")[0] == pytest.approx(2.2, abs=0.1)


def test_broken_packets_of_sound_cost_themselves(tmp_path: Path) -> None:
    source = with_tone(tmp_path / "tone.ts", "aac")
    content = bytearray(source.read_bytes())
    for place in range(len(content) // 3, len(content) // 2):
        if place % 188 > 30:  # behind the headers of the transport stream
            content[place] ^= 0x5A
    source.write_bytes(content)
    write(tmp_path / "out.mp4", [0.1 * index for index in range(10)], audio_from=str(source))
    assert len(decode(tmp_path / "out.mp4")[1]) == 10
    assert float(sound(tmp_path / "out.mp4")[1][-1]) == pytest.approx(1.0, abs=0.1)


def test_no_sound_and_no_source_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "mute.mp4", [0.0])
    write(tmp_path / "a.mp4", [0.0], audio_from=str(tmp_path / "mute.mp4"))
    assert caplog.records == []
    write(tmp_path / "b.mp4", [0.0], audio_from=str(tmp_path / "absent.mp4"))
    assert "its sound is left out from here on (No such file" in caplog.records[0].message


def interrupted(path: Path) -> None:
    with AnnotatedVideoWriter(path, INFO) as writer:
        for number in range(40):
            writer.write(picture(level=number), number / 25)
        raise KeyboardInterrupt


def test_exception_leaves_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert len(decode(path)[1]) == 40


@pytest.mark.skipif(not PLAYS_UNFINISHED, reason="an FFmpeg before 8.1 finishes a file or loses it")
def test_killed_process_leaves_a_file_that_plays(tmp_path: Path, repository: Path) -> None:
    script = f"""
import numpy as np, time
from datamodules.video.writing.annotated import AnnotatedVideoWriter
writer = AnnotatedVideoWriter({str(tmp_path / "out.mp4")!r}, {INFO!r})
for number in range(300):
    writer.write(np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8), number / 25)
print("written", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=repository)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (partial,) = tmp_path.iterdir()
    assert partial.name.startswith(".out.")
    assert len(decode(partial)[1]) >= 50


def test_memory_of_a_slow_encoder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datamodules.video.writing import annotated as annotated_writer

    add, encoded, waiting = PictureEncoder.add, [], []

    def slow(self: PictureEncoder, image: NDArray[np.uint8], moment: float) -> None:
        time.sleep(0.01)
        add(self, image, moment)
        encoded.append(moment)

    monkeypatch.setattr(PictureEncoder, "add", slow)
    monkeypatch.setattr(annotated_writer, "QUEUE_BYTES", 4 * picture().nbytes)
    with AnnotatedVideoWriter(tmp_path / "slow.mp4", INFO) as writer:
        for number in range(30):
            writer.write(picture(), number / 25)
            waiting.append(number + 1 - len(encoded))
    assert 4 <= max(waiting) <= 6  # four wait, one is encoded, and one has just been


def test_failure_of_the_encoder_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: PictureEncoder, image: object, moment: float) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PictureEncoder, "add", full)
    with pytest.raises(VideoError, match=r"out\.mp4: cannot be written \(No space left on device\)"):
        write(tmp_path / "out.mp4", [number / 25 for number in range(10_000)])
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match=r"cannot be written .*choose an output folder that you may write to"):
        AnnotatedVideoWriter(tmp_path / "file" / "out.mp4", INFO)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(VideoError, match="Permission denied"):
        AnnotatedVideoWriter(tmp_path / "out.mp4", INFO)


def test_options_and_pictures_that_cannot_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="codec is 'nope'"):
        AnnotatedVideoWriter(tmp_path / "a.mp4", INFO, codec="nope")
    with pytest.raises(ConfigurationError, match="fps is 0"):
        AnnotatedVideoWriter(tmp_path / "a.mp4", INFO, fps=0.0)
    with AnnotatedVideoWriter(tmp_path / "a.mp4", INFO) as writer:
        with pytest.raises(ConfigurationError, match="it must be uint8"):
            writer.write(picture().astype(np.float32), 0.0)  # type: ignore[arg-type]
        writer.write(picture(), 0.0)
        with pytest.raises(ConfigurationError, match="all must be alike"):
            writer.write(picture(50), 0.1)
    with pytest.raises(VideoError, match="output format"):
        write(tmp_path / "a.strange", [0.0])
