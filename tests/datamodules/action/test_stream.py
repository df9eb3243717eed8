"""Chunks of files for a network: complete, in order, bounded, and honest about what went wrong."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.action.batch import StreamBatch
from datamodules.action.stream import ActionStream, frames_to_device, predict_loader
from datamodules.video.reading.reader import KeepFrames, read_video
from datamodules.video.streaming.chunks import RateSelector
from datamodules.video.streaming.reader import StreamReader

SIDE = 32


def chunks_of(*sources: Path | str, **options: object) -> list[StreamBatch]:
    return list(predict_loader(ActionStream([str(source) for source in sources], SIDE, **options)))  # type: ignore[arg-type]


def joined(chunks: list[StreamBatch], field: str) -> torch.Tensor:
    return torch.cat([chunk[field] for chunk in chunks])  # type: ignore[literal-required]


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip("stream.mp4", frames=50)


@pytest.mark.parametrize("chunk_frames", [None, 1, 7, 25, 50, 51])
@pytest.mark.parametrize("clip_length", [1, 3])
def test_every_frame_comes_once_whatever_the_chunks(clip: Path, chunk_frames: int | None, clip_length: int) -> None:
    if chunk_frames is not None and chunk_frames < clip_length:
        pytest.skip("a chunk must hold a clip")
    whole = chunks_of(clip, with_source=True)
    chunks = chunks_of(clip, with_source=True, chunk_frames=chunk_frames, clip_length=clip_length)
    for field in ("frames", "times", "selected", "source", "source_times"):
        assert torch.equal(joined(chunks, field), joined(whole, field))
    assert [chunk["is_last"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(len(chunk["frames"]) % clip_length == 0 for chunk in chunks[:-1])
    assert len(chunks[-1]["frames"]) > 0


def test_contract(clip: Path) -> None:
    kept = KeepFrames()
    read_video(str(clip), kept, reader="pyav")
    (chunk,) = chunks_of(clip, with_source=True)
    assert chunk["frames"].shape == (50, 3, SIDE, SIDE)
    assert chunk["frames"].dtype == chunk["source"].dtype == torch.uint8
    assert np.array_equal(chunk["source"].numpy(), kept.frames())
    assert chunk["times"].tolist() == pytest.approx(kept.times().tolist())
    assert chunk["times"].dtype == torch.float64
    assert torch.equal(chunk["times"], chunk["source_times"])
    assert chunk["selected"].all()
    assert (chunk["status"], chunk["error"], chunk["dropped"]) == ("ok", "", 0)
    info = chunk["info"]
    assert info == {
        "name": str(clip),
        "path": str(clip),
        "live": False,
        "width": 128,
        "height": 96,
        "fps": 25.0,
        "duration": 2.0,
        "transfer": "",
        "pixel_aspect": 1,
    }
    assert "source" not in chunks_of(clip)[0]


@pytest.mark.parametrize("chunk_bytes", [100_000, 1 << 20])
def test_chunks_are_bounded_in_bytes(clip: Path, chunk_bytes: int) -> None:
    chunks = chunks_of(clip, with_source=True, chunk_bytes=chunk_bytes)
    assert len(chunks) > 1
    assert all(chunk["frames"].nbytes + chunk["source"].nbytes <= chunk_bytes for chunk in chunks)


def test_a_chunk_holds_one_clip_at_least(clip: Path) -> None:
    assert len(chunks_of(clip, chunk_bytes=1, clip_length=16)[0]["frames"]) == 16


@pytest.mark.parametrize("with_source", [False, True])
def test_rate_takes_the_first_frame_of_each_interval(clip: Path, with_source: bool) -> None:
    whole = chunks_of(clip)[0]
    chunks = chunks_of(clip, rate=5.0, with_source=with_source, chunk_frames=4)
    times = joined(chunks, "times")
    assert times.tolist() == pytest.approx([0.2 * index for index in range(10)])
    assert torch.equal(joined(chunks, "frames"), whole["frames"][::5])
    if with_source:
        assert joined(chunks, "source_times").tolist() == whole["times"].tolist()


def test_compared_rate_gives_all_frames_and_marks_its_own(clip: Path) -> None:
    chunk = chunks_of(clip, rate=5.0, compare_rate=True)[0]
    assert chunk["selected"].tolist() == [index % 5 == 0 for index in range(50)]


def test_rate_above_that_of_the_source_takes_all() -> None:
    selector = RateSelector(30.0)
    assert all(selector.takes(index / 29.97) for index in range(10_000))


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 59.94])
def test_rate_is_kept_over_an_hour(fps: float) -> None:
    selector = RateSelector(5.0)
    taken = sum(selector.takes(index / fps) for index in range(round(3600 * fps)))
    assert taken == pytest.approx(18_000, abs=1)


def test_sources_follow_each_other(clip: Path, make_clip: Callable[..., Path]) -> None:
    other = make_clip("other.mkv", frames=3, height=64, width=48)
    chunks = chunks_of(clip, other, clip, chunk_frames=30)
    assert [chunk["video_id"] for chunk in chunks] == [0, 0, 1, 2, 2]
    assert [chunk["is_last"] for chunk in chunks] == [False, True, True, False, True]


def test_done_sources_are_left_out(clip: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_clip("other.mkv", frames=3, height=64, width=48)
    monkeypatch.chdir(other.parent)
    (chunk,) = chunks_of(clip, "other.mkv", excluded={str(clip)})
    assert (chunk["video_id"], chunk["info"]["path"]) == (0, str(other))
    assert chunks_of(clip, "other.mkv", excluded=[str(clip), str(other)]) == []


def test_what_cannot_be_read_is_one_empty_chunk_and_the_rest_goes_on(clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    chunks = chunks_of(text, tmp_path / "absent.mp4", clip, with_source=True)
    assert [chunk["status"] for chunk in chunks] == ["error", "error", "ok"]
    assert all(chunk["is_last"] for chunk in chunks)
    assert chunks[0]["error"].startswith(f"{text}: cannot be opened (Invalid data")
    assert "No such file" in chunks[1]["error"]
    assert chunks[0]["frames"].shape == (0, 3, SIDE, SIDE)
    assert chunks[0]["source"].shape == (0, 0, 0, 3)
    assert math.isnan(chunks[0]["info"]["duration"])


def test_damaged_file_gives_what_decodes_and_then_says_so(shared_dir: Path) -> None:
    chunks = chunks_of(shared_dir / "data" / "action" / "decord" / "corrupted.mp4", chunk_frames=10)
    assert len(joined(chunks, "times")) == 49
    assert [chunk["status"] for chunk in chunks] == ["ok"] * 4 + ["error"]
    assert "corrupted.mp4: damaged" in chunks[-1]["error"]


def test_all_real_files(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "action"
    files = [path for path in sorted(folder.glob("*/*.*")) if path.suffix != ".txt"]
    files = [path for path in files if path.parent.name != "intel_asl" or path.stem == "again"]  # alike
    chunks = chunks_of(*files)
    ends = [chunk for chunk in chunks if chunk["is_last"]]
    assert [Path(end["info"]["name"]) for end in ends] == files
    assert [Path(end["info"]["name"]).name for end in ends if end["status"] == "error"] == ["corrupted.mp4"]
    for number in range(len(files)):
        times = joined([chunk for chunk in chunks if chunk["video_id"] == number], "times")
        assert (times.diff() > 0).all()


def test_video_without_a_frame(make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: StreamReader, progress: object) -> Iterator[object]:
        self._judge()
        return iter(())

    monkeypatch.setattr(StreamReader, "frames", nothing)
    (chunk,) = chunks_of(make_clip("stream.mp4", frames=50))
    assert "not one frame can be decoded" in chunk["error"]


def test_decoder_that_hangs_is_given_up(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()
    monkeypatch.setattr(StreamReader, "frames", lambda self, progress: iter(lambda: hang.wait(20), True))
    begin = time.monotonic()
    (chunk,) = chunks_of(clip, timeout=0.3)
    hang.set()
    assert time.monotonic() - begin < 5
    assert "nothing was decoded for 0.3 s" in chunk["error"]


def test_stop_ends_the_source_with_an_empty_last_chunk(clip: Path) -> None:
    stream = ActionStream([str(clip), str(clip)], SIDE, chunk_frames=5)
    seen = []
    for chunk in stream:
        seen.append(chunk)
        stream.stop()
    assert [len(chunk["frames"]) for chunk in seen] == [5, 0]
    assert [chunk["is_last"] for chunk in seen] == [False, True]


def test_leaving_early_ends_the_thread(clip: Path) -> None:
    before = threading.active_count()
    chunks = iter(ActionStream([str(clip)], SIDE, chunk_frames=1))
    next(chunks)
    del chunks
    for _ in range(50):
        if threading.active_count() <= before:
            break
        time.sleep(0.1)
    assert threading.active_count() <= before


def test_only_frames_move_to_the_device(clip: Path) -> None:
    (chunk,) = chunks_of(clip, with_source=True)
    moved = frames_to_device(chunk, torch.device("meta"))
    assert moved["frames"].device.type == "meta"
    assert moved["source"] is chunk["source"]
    assert chunk["frames"].device.type == "cpu"
