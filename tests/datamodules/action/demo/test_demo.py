"""The action demo: made once, safe to interrupt, exact truth, noise as asked, a pair that only time tells apart."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.action.demo.making import action_demo_folder, make_action_demo
from datamodules.action.demo.settings import DEMO_CLASSES, FRAME_CLASSES, PAIR_CLASSES, ActionDemoSettings
from datamodules.action.demo.videos import ClipJob, LongJob, clip_scene, long_scene, make_clip, make_long, truth_of
from datamodules.common.errors import VideoError
from tests.datamodules.samples import decode
from tests.tables import csv_rows

SMALL = {
    "clips": 4,
    "clip_seconds": 0.3,
    "width": 72,
    "height": 64,
    "untrimmed": 2,
    "untrimmed_pair": 1,
    "segments": 4,
    "shortest_segment": 0.6,
    "longest_segment": 0.9,
}


def small(cache: Path | None, **changes: float) -> ActionDemoSettings:
    values = {**SMALL, **changes}
    return ActionDemoSettings(cache_dir=None if cache is None else str(cache), **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_action_demo(small(tmp_path_factory.mktemp("cache")))


def test_the_list_names_every_clip_with_split_and_group(folder: Path) -> None:
    rows = csv_rows(folder / "clips.csv")
    assert list(rows[0]) == ["video", "class", "split", "group"]
    assert Counter(row["class"] for row in rows) == dict.fromkeys(DEMO_CLASSES, 4)
    assert {row["video"] for row in rows} == {f"clips/{p.parent.name}/{p.name}" for p in folder.glob("clips/*/*.mp4")}
    places: dict[str, set[str]] = {}
    for row in rows:
        places.setdefault(row["group"], set()).add(row["split"])
    assert len(places) == 4
    assert all(len(splits) == 1 for splits in places.values())  # a place stays on one side
    per_class = Counter((row["class"], row["split"]) for row in rows)
    assert all(per_class[name, split] == count for name in DEMO_CLASSES for split, count in _SPLITS.items())
    assert {p.name for p in folder.iterdir()} == {
        "clips", "clips.csv", "untrimmed", "untrimmed_noisy", "untrimmed_pair",
        "untrimmed.json", "untrimmed_noisy.json", "untrimmed_pair.json",
    }  # fmt: skip


_SPLITS = {"train": 2, "val": 1, "test": 1}


@pytest.mark.parametrize("kind", ["untrimmed", "untrimmed_noisy", "untrimmed_pair"])
def test_truth_covers_each_long_video_without_a_gap(folder: Path, kind: str) -> None:
    database = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))["database"]
    assert {f"{name}.mp4" for name in database} == {p.name for p in (folder / kind).iterdir()}
    allowed = {"idle", *PAIR_CLASSES} if kind == "untrimmed_pair" else set(FRAME_CLASSES)
    for name, video in database.items():
        frames, times = decode(folder / kind / f"{name}.mp4")
        step = times[1] - times[0]
        assert video["duration"] == pytest.approx(times[-1] + step, abs=2e-3)
        assert 1 / step == pytest.approx(len(frames) / video["duration"], rel=1e-2)
        segments = video["annotations"]
        assert segments[0]["segment"][0] == 0
        assert segments[-1]["segment"][1] == pytest.approx(video["duration"], abs=step)
        for one, following in itertools.pairwise(segments):
            assert one["segment"][1] == following["segment"][0]
            assert one["label"] != following["label"]
        assert {one["label"] for one in segments} <= allowed
        assert all(one["segment"][0] < one["segment"][1] <= video["duration"] for one in segments)


def test_clean_and_noisy_videos_share_their_truth(folder: Path) -> None:
    clean, noisy = (
        list(json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))["database"].values())
        for kind in ("untrimmed", "untrimmed_noisy")
    )
    assert clean == noisy


def test_noise_takes_its_share_of_the_frames(tmp_path: Path) -> None:
    settings = small(tmp_path, clips=3, untrimmed=1, untrimmed_pair=0, blur_share=0.1, occlusion_share=0.2)
    made = make_action_demo(settings)
    clean, _ = decode(next((made / "untrimmed").iterdir()))
    noisy, _ = decode(next((made / "untrimmed_noisy").iterdir()))
    assert clean.shape == noisy.shape
    difference = np.abs(clean.astype(float) - noisy).mean(axis=(1, 2, 3))
    share = 0.1 + 0.2 + settings.random_share
    assert (difference > 9).mean() == pytest.approx(share, abs=0.06)
    assert list((made / "untrimmed_pair").iterdir()) == []


def test_noise_of_long_videos_leaves_clips_and_clean_videos_alone(tmp_path: Path) -> None:
    clip, clean = ClipJob("waving", 1), LongJob("untrimmed", 0)
    made = []
    for name, shares in (("mild", {}), ("noisy", {"occlusion_share": 0.3, "random_share": 0.2})):
        for job in (clip, clean):
            (tmp_path / name / job.file).parent.mkdir(parents=True)
        make_clip(tmp_path / name, small(None, **shares), clip)
        make_long(tmp_path / name, small(None, **shares), clean)
        made.append([(tmp_path / name / job.file).read_bytes() for job in (clip, clean)])
    assert made[0] == made[1]


def test_lowering_is_raising_played_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small(tmp_path)
    scene, script = clip_scene(settings, ClipJob("lowering", 1))
    assert [segment.action for segment in script] == ["raising"]
    seen: list[NDArray[np.uint8]] = []
    monkeypatch.setattr(
        "datamodules.action.demo.videos.encode_video", lambda path, frames, fps, qp: seen.extend(frames)
    )
    make_clip(tmp_path, settings, ClipJob("lowering", 1))
    from datamodules.action.demo.scenes import draw_frames

    assert all(np.array_equal(a, b) for a, b in zip(seen[::-1], draw_frames(scene, script), strict=True))
    assert not np.array_equal(seen[0], seen[-1])


def test_places_differ_and_repeat(tmp_path: Path) -> None:
    settings = small(tmp_path)
    first, again, other = (clip_scene(settings, ClipJob("drinking", number))[0] for number in (0, 0, 1))
    assert np.array_equal(np.asarray(first.room), np.asarray(again.room))
    assert first.looks == again.looks
    assert first.looks != other.looks
    assert clip_scene(small(tmp_path, seed=1), ClipJob("drinking", 0))[0].looks != first.looks
    sizes = {clip_scene(settings, ClipJob("idle", n))[0].room.size for n in range(30)}
    rates = {clip_scene(settings, ClipJob("idle", n))[0].fps for n in range(30)}
    assert len(sizes) == len(rates) == 3


def test_every_action_is_done_at_every_place_by_one_person(tmp_path: Path) -> None:
    drinking, idle = (clip_scene(small(tmp_path), ClipJob(action, 2))[0] for action in ("drinking", "idle"))
    assert np.array_equal(np.asarray(drinking.room), np.asarray(idle.room))
    assert (drinking.looks.skin, drinking.looks.hair) == (idle.looks.skin, idle.looks.hair)
    assert drinking.looks.shirt == idle.looks.shirt
    assert drinking.habits != idle.habits
    assert not np.array_equal(drinking.light, idle.light)


def test_every_frame_of_a_person_moves(tmp_path: Path) -> None:
    from datamodules.action.demo.scenes import ScriptedSegment, draw_frames

    settings = small(tmp_path)
    for number, action in enumerate(DEMO_CLASSES):
        scene, _ = clip_scene(settings, ClipJob(action, number))
        clip = np.stack(list(draw_frames(scene, [ScriptedSegment(action, 0.0, 1.0)])))
        assert clip.dtype == np.uint8
        assert clip.std() > 15, "nearly one colour"
        assert np.abs(np.diff(clip.astype(int), axis=0)).mean(axis=(1, 2, 3)).min() > 0


def test_a_long_video_shows_each_class_before_any_comes_again(tmp_path: Path) -> None:
    settings = small(tmp_path, segments=13)
    for number in range(5):
        _, script = long_scene(settings, LongJob("untrimmed", number))
        labels = [segment.action for segment in script]
        assert set(labels[:6]) == set(labels[6:12]) == set(FRAME_CLASSES)
        assert all(one != following for one, following in itertools.pairwise(labels))
    truth = truth_of(settings, LongJob("untrimmed_pair", 0))
    assert [one["label"] for one in truth["annotations"]][:4] == ["idle", "raising", "lowering", "idle"]


def test_a_making_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    settings = small(tmp_path)
    partial = action_demo_folder(settings).with_suffix(".partial")
    room = partial / "clips" / "idle"
    room.mkdir(parents=True)
    make_clip(partial, settings, ClipJob("idle", 2))
    (room / ".idle_001.x.partial.mp4").write_bytes(b"torn")
    kept = (room / "idle_002.mp4").stat().st_mtime_ns
    again = make_action_demo(settings)
    assert (again / "clips" / "idle" / "idle_002.mp4").stat().st_mtime_ns == kept
    assert {p.name for p in (again / "clips" / "idle").iterdir()} == {f"idle_{n:03d}.mp4" for n in range(4)}
    for path in folder.rglob("*"):
        if path.is_file():
            assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_a_clip_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file")
    (tmp_path / "untrimmed").write_text("a file")
    with pytest.raises(VideoError, match=r"idle_000\.mp4"):
        make_clip(tmp_path, small(None), ClipJob("idle", 0))
    with pytest.raises(VideoError, match="untrimmed"):
        make_long(tmp_path, small(None), LongJob("untrimmed", 0))
