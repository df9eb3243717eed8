"""The encoder: quality follows QP, output repeats, files are atomic, wrong input is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.writing.encode import encode_video
from tests.datamodules.samples import decode

Frames = NDArray[np.uint8]


def moving_noise(count: int = 6, height: int = 48, width: int = 64, seed: int = 0) -> Frames:
    """A smooth grey texture that moves two pixels a frame (grey: halved colour planes must not add an error)."""
    generator = np.random.default_rng(seed)
    canvas = np.repeat(generator.normal(size=(height + 8, width + 2 * count + 8, 1)), 3, axis=2)
    for axis in (0, 1):
        canvas = np.sum([np.roll(canvas, shift, axis) for shift in range(-2, 3)], axis=0) / 5**0.5
    canvas = np.clip(128 + 40 * canvas, 0, 255).astype(np.uint8)
    return np.stack([canvas[:height, 2 * i : 2 * i + width] for i in range(count)])


def test_error_rises_with_qp(tmp_path: Path) -> None:
    frames = moving_noise()
    errors, sizes = [], []
    for qp in (10, 20, 30, 40, 50):
        path = encode_video(tmp_path / f"{qp}.mp4", frames, 25, qp=qp)
        decoded = decode(path)[0]
        assert decoded.shape == frames.shape
        errors.append(float(np.square(decoded.astype(float) - frames).mean()))
        sizes.append(path.stat().st_size)
    assert errors == sorted(errors)
    assert sizes == sorted(sizes, reverse=True)
    assert errors[0] < 30 < 200 < errors[-1]


@pytest.mark.parametrize("codec", ["libx264", "hevc", "mpeg4"])
def test_same_frames_give_the_same_file(tmp_path: Path, codec: str) -> None:
    frames = moving_noise()
    first = encode_video(tmp_path / "a.mp4", frames, 30, codec=codec, qp=30)
    second = encode_video(tmp_path / "b.mp4", iter(list(frames)), 30, codec=codec, qp=30)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("codec", "suffix", "name", "pix_fmt"),
    [
        ("h264", ".mkv", "h264", "yuv420p10le"),
        ("hevc", ".mp4", "hevc", "yuv420p"),
        ("libx265", ".mp4", "hevc", "yuv420p10le"),
        ("av1", ".mp4", "av1", "yuv420p"),
        ("vp9", ".webm", "vp9", "yuv420p"),
        ("mpeg4", ".avi", "mpeg4", "yuv420p"),
    ],
)
def test_codecs_by_name(tmp_path: Path, codec: str, suffix: str, name: str, pix_fmt: str) -> None:
    frames = moving_noise(4, 64, 64)
    errors = []
    for qp in (8, 30):
        path = encode_video(tmp_path / f"clip{qp}{suffix}", frames, 24, codec=codec, qp=qp, pix_fmt=pix_fmt)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name in (name, f"lib{name}", "libdav1d")
            assert stream.codec_context.pix_fmt == pix_fmt
            assert stream.average_rate == 24
        decoded = decode(path)[0]
        assert decoded.shape == frames.shape
        errors.append(float(np.square(decoded.astype(float) - frames).mean()))
    assert errors[0] < errors[1]


def test_crf_and_fractional_rate(tmp_path: Path) -> None:
    frames = moving_noise()
    fine = encode_video(tmp_path / "fine.mp4", frames, 30000 / 1001, crf=12)
    coarse = encode_video(tmp_path / "coarse.mp4", frames, 30000 / 1001, crf=45)
    assert fine.stat().st_size > coarse.stat().st_size
    with av.open(str(fine)) as container:
        assert str(container.streams.video[0].average_rate) == "30000/1001"


def test_options_reach_the_encoder(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=4:min-keyint=4:scenecut=0"}
    path = encode_video(tmp_path / "keys.mp4", moving_noise(12), 25, qp=30, options=options)
    with av.open(str(path)) as container:
        keys = [frame.key_frame for frame in container.decode(video=0)]
    assert [i for i, key in enumerate(keys) if key] == [0, 4, 8]


def test_odd_sizes(tmp_path: Path) -> None:
    odd = np.zeros((2, 33, 48, 3), np.uint8)
    with pytest.raises(ConfigurationError, match=r"48x33.*even sizes"):
        encode_video(tmp_path / "odd.mp4", odd, 25)
    encode_video(tmp_path / "odd444.mp4", odd, 25, pix_fmt="yuv444p")
    encode_video(tmp_path / "odd422.mp4", odd, 25, pix_fmt="yuv422p")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["odd422.mp4", "odd444.mp4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"qp": 99}, "0 to 51"),
        ({"qp": 20, "crf": 20}, "one of the two"),
        ({"codec": "libnothing"}, "no video encoder 'libnothing'"),
        ({"codec": "aac"}, "no video encoder 'aac'"),
        ({"pix_fmt": "rgb24"}, "only yuv420p"),
        ({"frames": []}, "0 frames"),
        ({"frames": np.zeros((2, 32, 32), np.uint8)}, r"uint8 \(H, W, 3\)"),
        ({"frames": np.zeros((2, 32, 32, 3), np.float32)}, "float32"),
        ({"frames": [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)]}, "frame 1"),
    ],
)
def test_wrong_input_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"frames": np.zeros((2, 32, 32, 3), np.uint8), "fps": 25, **change}
    with pytest.raises(ConfigurationError, match=message):
        encode_video(tmp_path / "x.mp4", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_unwritable_file_is_a_video_error(tmp_path: Path) -> None:
    frames = moving_noise(2)
    with pytest.raises(VideoError, match="suffix such as"):
        encode_video(tmp_path / "x.nocontainer", frames, 25)
    with pytest.raises(VideoError, match="missing"):
        encode_video(tmp_path / "missing" / "x.mp4", frames, 25)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_source_leaves_the_old_file(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "x.mp4", moving_noise(2), 25, qp=30)
    before = path.read_bytes()

    def broken() -> Iterator[Frames]:
        yield moving_noise(1)[0]
        raise RuntimeError("camera lost")

    with pytest.raises(RuntimeError, match="camera lost"):
        encode_video(path, broken(), 25, qp=30)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]
