"""Splits by reference video."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.common.errors import ConfigurationError
from datamodules.video_quality.labels import LabelledVideo
from datamodules.video_quality.settings import VideoListSettings
from datamodules.video_quality.splits import split_by_column, split_by_reference


def videos(references: int, versions: int = 3) -> list[LabelledVideo]:
    return [
        LabelledVideo(f"/v/{source}_{version}.mp4", f"{source}_{version}.mp4", 3.0, version, f"s{source}")
        for source in range(references)
        for version in range(versions)
    ]


@settings(max_examples=80, deadline=None)
@given(
    references=st.integers(3, 40),
    val=st.sampled_from([0.0, 0.1, 0.25]),
    test=st.sampled_from([0.0, 0.2, 0.4]),
    seed=st.integers(0, 9),
)
def test_versions_of_a_source_stay_together(references: int, val: float, test: float, seed: int) -> None:
    listed = videos(references)
    splits = split_by_reference(listed, VideoListSettings(val_fraction=val, test_fraction=test, split_seed=seed))
    sides = {name: {video.reference for video in part} for name, part in splits.items()}
    assert not sides["train"] & sides["val"]
    assert not sides["train"] & sides["test"]
    assert not sides["val"] & sides["test"]
    assert sorted(video.name for part in splits.values() for video in part) == sorted(video.name for video in listed)
    for name, fraction in (("val", val), ("test", test)):
        assert len(sides[name]) == (max(1, round(fraction * references)) if fraction else 0)


def test_the_split_follows_the_seed_alone() -> None:
    listed = videos(20)
    shuffled = random.Random(0).sample(listed, len(listed))
    first, again, other = (
        {v.name for v in split_by_reference(given, VideoListSettings(split_seed=seed))["test"]}
        for given, seed in ((listed, 0), (shuffled, 0), (listed, 1))
    )
    assert first == again
    assert first != other


def test_folds_cover_every_reference_once() -> None:
    listed = videos(11)
    tested = []
    for fold in range(5):
        splits = split_by_reference(listed, VideoListSettings(folds=5, fold=fold))
        tested += [video.name for video in splits["test"]]
        assert splits["val"]
        assert sum(map(len, splits.values())) == len(listed)
    assert sorted(tested) == sorted(video.name for video in listed)


def test_a_video_without_a_reference_is_its_own() -> None:
    listed = [LabelledVideo(f"/v/{number}.mp4", f"{number}.mp4", 3.0) for number in range(10)]
    assert len(split_by_reference(listed, VideoListSettings())["test"]) == 2


def test_versions_without_references_cannot_be_split() -> None:
    listed = [
        LabelledVideo(f"/v/{number}.mp4", f"{number}.mp4", 3.0, pattern=1, line=number + 1) for number in range(9)
    ]
    with pytest.raises(ConfigurationError, match="line 1 of the list names a processing pattern but no reference"):
        split_by_reference(listed, VideoListSettings())


def test_too_few_references() -> None:
    with pytest.raises(ConfigurationError, match="cannot be split"):
        split_by_reference(videos(1), VideoListSettings())
    with pytest.raises(ConfigurationError, match="5 folds need"):
        split_by_reference(videos(4), VideoListSettings(folds=5))


def with_splits(*names: str | None) -> list[LabelledVideo]:
    return [
        LabelledVideo(f"/v/{number}", f"{number}", 3.0, reference=f"s{number // 2}", split=name, line=number + 2)  # type: ignore[arg-type]
        for number, name in enumerate(names)
    ]


def test_splits_of_the_list_itself() -> None:
    splits = split_by_column(with_splits("train", "train", "val", "val", "test", "test"))
    assert splits is not None
    assert {name: len(part) for name, part in splits.items()} == {"train": 2, "val": 2, "test": 2}
    assert split_by_column(with_splits(None, None)) is None
    with pytest.raises(ConfigurationError, match="line 3 of the manifest names no split"):
        split_by_column(with_splits("train", None))
    with pytest.raises(ConfigurationError, match="line 3 of the manifest puts reference 's0' into val"):
        split_by_column(with_splits("train", "val"))
