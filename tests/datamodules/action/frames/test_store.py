"""Sparse frames, decoded once and kept."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.action.frames import store as frame_store_file
from datamodules.action.frames.chosen import resized
from datamodules.action.frames.sampling import FrameSampling
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.frames.store import FrameStore, frame_store, store_key
from datamodules.action.lists.records import ActionVideo, Picture
from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.reading.reader import KeepFrames, read_video

SIZE = 24
MakeClip = Callable[..., Path]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "cache"))


def video(path: Path, label: str = "a", **options: object) -> ActionVideo:
    return ActionVideo(str(path), path.name, label, path.name, **options)  # type: ignore[arg-type]  # varied


def reading(**options: object) -> ActionFrameSettings:
    return ActionFrameSettings(frame_size=SIZE, **options)  # type: ignore[arg-type]  # varied


def decoded(path: Path, indices: list[int]) -> NDArray[np.uint8]:
    frames = KeepFrames(np.array(indices))
    read_video(str(path), frames)
    return resized(frames.frames(), SIZE)


def test_frames_and_times_of_videos(make_clip: MakeClip) -> None:
    first, second = make_clip("one.mp4", frames=24), make_clip("two.mp4", frames=10, phase=1.0)
    store = frame_store([video(first), video(second)], reading(frames_per_video=4))
    assert store.frames.shape == (8, 3, SIZE, SIZE)
    assert np.array_equal(store.frames[:4], decoded(first, [3, 9, 15, 21]))
    assert np.array_equal(store.frames[4:], decoded(second, [1, 3, 6, 8]))
    assert store.videos[1].first == 4
    assert store.videos[0].times == pytest.approx([3 / 25, 9 / 25, 15 / 25, 21 / 25])


def test_parts_rates_and_short_videos(make_clip: MakeClip) -> None:
    clip = make_clip("one.mp4", frames=24)
    part = video(clip, start=0.4, end=0.8)
    store = frame_store([part, video(clip)], reading(sampling_rate=5.0))
    assert store.videos[0].times == pytest.approx([0.52, 0.72])
    assert len(store.videos[1].times) == 5
    store = frame_store([part], reading(frames_per_video=100))
    assert store.videos[0].times == pytest.approx([i / 25 for i in range(10, 20)])


def test_part_behind_the_end_is_named_and_skipped(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip("one.mp4", frames=24)
    late = video(clip, start=5.0, end=6.0, source="list.csv, line 3")
    store = frame_store([late, video(clip)], reading(frames_per_video=2))
    assert [len(stored.times) for stored in store.videos] == [0, 2]
    assert "no frame from 5 to 6 s (list.csv, line 3); its last is at 0.92 s" in caplog.text


def test_unreadable_files_are_named_and_skipped(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    listed = [video(bad), video(make_clip("one.mp4")), video(tmp_path / "gone.mp4")]
    store = frame_store(listed, reading(frames_per_video=2))
    assert [len(stored.times) for stored in store.videos] == [0, 2, 0]
    assert "bad.mp4: cannot be read" in caplog.text
    assert "gone.mp4" in caplog.text
    with pytest.raises(VideoError, match=r"Not one frame of the 1 videos can be read: .*bad.mp4"):
        frame_store([video(bad)], reading())


def test_kept_and_made_anew_when_anything_changes(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = tmp_path / "own.mp4"
    clip.write_bytes(make_clip("one.mp4").read_bytes())
    listed = [video(clip)]
    store = frame_store(listed, reading(frames_per_video=2))
    state = (store.folder / "frames.u8").stat().st_mtime_ns
    again = frame_store(listed, reading(frames_per_video=2))
    assert (again.folder / "frames.u8").stat().st_mtime_ns == state
    names = {store_key(listed, reading(frames_per_video=count)) for count in (2, 3)}
    names.add(store_key([video(clip, end=0.5)], reading(frames_per_video=2)))
    clip.write_bytes(make_clip("two.mp4", phase=1.0).read_bytes())
    names.add(store_key(listed, reading(frames_per_video=2)))
    assert len(names) == 4


def test_stopped_making_goes_on(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [video(make_clip(f"{i}.mp4", phase=float(i))) for i in range(4)]
    whole = reading(frames_per_video=3)
    read = frame_store_file.read_frames
    asked: list[str] = []

    def stopping(clip: ActionVideo, *rest: object) -> tuple[list[float], list[str]]:
        asked.append(clip.name)
        if clip.name == "2.mp4" and len(asked) <= 4:
            raise KeyboardInterrupt
        return read(clip, *rest)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(frame_store_file, "read_frames", stopping)
    with pytest.raises(KeyboardInterrupt):
        frame_store(clips, whole)
    partial = next((cache_folder() / "action_frames").glob("*.partial"))
    with (partial / "frames.u8").open("ab") as stream:  # as if it had been killed while writing a video
        stream.write(b"half")
    with (partial / "videos.jsonl").open("a") as stream:
        stream.write('{"times": [0.1')
    asked.clear()
    asked.extend(["", "", "", ""])
    store = frame_store(clips, whole)
    assert sorted(asked[4:]) == ["2.mp4", "3.mp4"]
    expected = np.concatenate([decoded(Path(clip.path), [4, 12, 20]) for clip in clips])
    assert np.array_equal(store.frames, expected)


def test_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 255, (40, 60, 3), dtype=np.uint8) for _ in range(3)]
    pictures = []
    for number, array in enumerate(arrays):
        path = tmp_path / f"a_{number}.png"
        Image.fromarray(array).save(path)
        pictures.append(Picture(str(path), math.nan))
    Image.fromarray(arrays[0][..., 0]).save(tmp_path / "grey.png")
    (tmp_path / "bad.jpg").write_bytes(b"no")
    extra = (Picture(str(tmp_path / "bad.jpg"), 0.5), Picture(str(tmp_path / "grey.png"), 1.0))
    listed = [video(tmp_path / "a", pictures=tuple(pictures)), video(tmp_path / "b", pictures=extra)]
    store = frame_store(listed, reading())
    assert np.array_equal(store.frames[:3], resized(np.stack(arrays), SIZE))
    assert [len(stored.times) for stored in store.videos] == [3, 1]
    assert math.isnan(store.videos[0].times[0])
    assert store.videos[1].times == (1.0,)
    assert "bad.jpg: the picture cannot be read" in caplog.text
    with pytest.raises(ConfigurationError, match="times of the frames are unknown"):
        frame_store(listed[:1], reading(sampling_rate=2.0))


def test_travels_to_a_worker_without_its_frames(make_clip: MakeClip) -> None:
    store = frame_store([video(make_clip("one.mp4"))], reading())
    assert store.frames[0].max() > 0
    content = pickle.dumps(store)
    assert len(content) < 4000
    copy: FrameStore = pickle.loads(content)
    assert np.array_equal(copy.frames, store.frames)


def test_full_disk(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 100})()
    monkeypatch.setattr(frame_store_file.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(VideoError, match=r"16 frames of 24 px need .* take fewer frames_per_video"):
        frame_store([video(make_clip("one.mp4"))], reading())


def test_real_files(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "action"
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".mkv", ".mov", ".avi"))
    store = frame_store([video(path) for path in files], reading(frames_per_video=4))
    counts = {path.name: len(stored.times) for path, stored in zip(files, store.videos, strict=True)}
    assert {name: count for name, count in counts.items() if count != 4} == {
        "corrupted.mp4": 0,
        "video_0.mov": 3,
        "video_90.mov": 3,
    }
    assert all(np.all(np.diff(stored.times) > 0) for stored in store.videos)


class TestSampling:
    def test_evenly(self) -> None:
        assert FrameSampling().choose(np.arange(160) / 25).tolist() == list(range(5, 160, 10))
        assert FrameSampling().choose(np.arange(3) / 25).tolist() == [0, 1, 2]
        assert FrameSampling().choose(np.full(5, np.nan), default=None).tolist() == [0, 1, 2, 3, 4]

    def test_rate_with_uneven_times(self) -> None:
        times = np.array([0.0, 0.1, 0.5, 0.6, 2.4, 2.5, 3.9])
        assert FrameSampling(sampling_rate=1.0).choose(times).tolist() == [2, 4, 5, 6]
        assert FrameSampling(sampling_rate=1.0).choose(times[:1]).tolist() == [0]
        assert FrameSampling(sampling_rate=1.0).choose(times[:0]).tolist() == []
