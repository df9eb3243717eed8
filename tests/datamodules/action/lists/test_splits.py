"""Splits by video, by group and by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.rows import rows_of_splits
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import ActionVideo, SplitName
from datamodules.action.lists.splits import ActionSplitSettings, assign_frames, assign_videos
from datamodules.common.errors import ConfigurationError, LabelError


def videos(count: int, label: str = "a", per_group: int = 1) -> list[ActionVideo]:
    return [
        ActionVideo(f"/{label}{i}.mp4", f"{label}{i}.mp4", label, group=f"{label}-{i // per_group}", source=f"line {i}")
        for i in range(count)
    ]


def named(splits: Sequence[SplitName | None], groups: Sequence[str]) -> list[ActionVideo]:
    return [
        ActionVideo(f"/{i}.mp4", f"{i}.mp4", "a", group=group, split=split, source=f"list.csv, line {i + 2}")
        for i, (split, group) in enumerate(zip(splits, groups, strict=True))
    ]


def test_shares_of_each_class() -> None:
    both = videos(40, "a") + videos(20, "b")
    splits = assign_videos(both, ActionSplitSettings())
    counts = Counter((video.label, split) for video, split in zip(both, splits, strict=True))
    assert counts == {
        ("a", "train"): 28,
        ("a", "val"): 6,
        ("a", "test"): 6,
        ("b", "train"): 14,
        ("b", "val"): 3,
        ("b", "test"): 3,
    }


def test_groups_stay_together_and_order_does_not_count() -> None:
    listed = videos(40, "a", per_group=4)
    splits = dict(zip((v.name for v in listed), assign_videos(listed, ActionSplitSettings(split_seed=3)), strict=True))
    for group in {video.group for video in listed}:
        assert len({splits[video.name] for video in listed if video.group == group}) == 1
    turned = list(reversed(listed))
    again = dict(zip((v.name for v in turned), assign_videos(turned, ActionSplitSettings(split_seed=3)), strict=True))
    assert splits == again
    other = dict(zip((v.name for v in listed), assign_videos(listed, ActionSplitSettings(split_seed=4)), strict=True))
    assert splits != other


@pytest.mark.parametrize(("count", "wanted"), [(1, ["train"]), (2, ["train", "val"]), (3, ["test", "train", "val"])])
def test_few_videos(count: int, wanted: list[str]) -> None:
    assert sorted(assign_videos(videos(count), ActionSplitSettings())) == wanted


def test_test_split_that_validates() -> None:
    splits = assign_videos(videos(20), ActionSplitSettings((0.75, 0.0, 0.25), val_is_test=True))
    assert Counter(splits) == {"train": 15, "test": 5}
    splits = assign_videos(videos(20), ActionSplitSettings(val_is_test=True))
    assert Counter(splits) == {"train": 17, "test": 3}


def test_splits_of_the_list() -> None:
    assert assign_videos(named(["test", "train", "val"], "xyz"), ActionSplitSettings()) == ["test", "train", "val"]
    splits = assign_videos(named(["train"] * 10 + ["test"] * 2, "abcdefghijkl"), ActionSplitSettings())
    assert Counter(splits) == {"train": 8, "val": 2, "test": 2}
    assert splits[-2:] == ["test", "test"]


def test_wrong_splits_of_the_list() -> None:
    with pytest.raises(LabelError, match=r"list.csv, line 3: 1.mp4 names no split"):
        assign_videos(named(["train", None], "ab"), ActionSplitSettings())
    message = r"list.csv, line 4: group 'a' of 2.mp4 is in test, but in train at list.csv, line 2"
    with pytest.raises(LabelError, match=message):
        assign_videos(named(["train", "val", "test"], "aba"), ActionSplitSettings())


def test_frames_of_one_video_on_all_sides() -> None:
    keys = [(f"v{i // 50} {i}", "a" if i < 100 else "b") for i in range(200)]
    settings = ActionSplitSettings((0.75, 0.0, 0.25), split_by="frame", val_is_test=True)
    splits = assign_frames(keys, settings)
    assert Counter(zip((label for _, label in keys), splits, strict=True)) == {
        ("a", "train"): 75,
        ("a", "test"): 25,
        ("b", "train"): 75,
        ("b", "test"): 25,
    }
    assert {split for (name, _), split in zip(keys, splits, strict=True) if name.startswith("v0")} == {"train", "test"}


def test_what_is_wrong_with_the_labelled_side_is_named(tmp_path: Path) -> None:
    def frames(labels: Path) -> LabelledFrames:
        return LabelledFrames(ActionFrameSettings(labels=str(labels), frame_size=16, frames_per_video=4))

    with pytest.raises(LabelError, match="no such list"):
        frames(tmp_path / "absent.csv").videos()
    (tmp_path / "other.csv").write_text("name,kind\na,b\n")
    with pytest.raises(ConfigurationError, match="name its label_format"):
        frames(tmp_path / "other.csv").videos()


def test_splits_of_the_list_that_some_videos_lack_are_refused_with_their_frames() -> None:
    store: Any = None  # the list is looked at first
    with pytest.raises(LabelError, match=r"list.csv, line 3: 1.mp4 names no split"):
        rows_of_splits(named(["train", None], "ab"), store, ["a", "b"], ActionSplitSettings())
