"""Splits of a label list by reference video, never by file.

Versions of one source share content, and scores of content are what a model memorises first: a split by file puts
versions of a training video into the test.
"""

from __future__ import annotations

from collections.abc import Sequence

from datamodules.common.errors import ConfigurationError
from datamodules.common.splits import by_hash
from datamodules.video_quality.labels import LabelledVideo, SplitName
from datamodules.video_quality.settings import VideoListSettings

Splits = dict[SplitName, list[LabelledVideo]]


def split_by_reference(videos: Sequence[LabelledVideo], settings: VideoListSettings) -> Splits:
    """Split videos so that all versions of a reference fall on one side.

    A video without a reference is its own. References are ordered by a hash of the seed and their name, so that the
    split depends on nothing else.

    Args:
        videos: The list.
        settings: Fractions, seed and fold.

    Returns:
        "train", "val" and "test", each in the order of the list.

    Raises:
        ConfigurationError: If there are too few references for the splits that are asked for, or videos are processed
            versions (they have a pattern) of references that the list does not name.
    """
    unknown = [video for video in videos if video.pattern >= 0 and video.reference is None]
    if unknown:
        raise ConfigurationError(
            f"line {unknown[0].line} of the list names a processing pattern but no reference video, so that a split "
            "would put versions of one source on both sides; give train_labels, val_labels and test_labels, or a "
            "manifest with a column reference"
        )
    references = by_hash({_reference(video) for video in videos}, settings.split_seed)
    test = _test_references(references, settings)
    rest = [name for name in references if name not in test]
    val = set(rest[: _count(settings.val_fraction, len(rest if settings.folds else references))])
    side: dict[str, SplitName] = dict.fromkeys(references, "train")
    side.update(dict.fromkeys(val, "val"))
    side.update(dict.fromkeys(test, "test"))
    splits: Splits = {"train": [], "val": [], "test": []}
    for video in videos:
        splits[side[_reference(video)]].append(video)
    if not splits["train"]:
        raise ConfigurationError(
            f"{len(references)} reference video(s) cannot be split {settings.val_fraction:g} for validation and "
            f"{settings.test_fraction:g} for the test with one left to train on; give more videos or smaller fractions"
        )
    return splits


def split_by_column(videos: Sequence[LabelledVideo]) -> Splits | None:
    """Split videos as their list says; None when it says nothing.

    Raises:
        ConfigurationError: If only some rows name a split, or a reference lies on two sides.
    """
    named = [video for video in videos if video.split is not None]
    if not named:
        return None
    if len(named) < len(videos):
        line = next(video.line for video in videos if video.split is None)
        raise ConfigurationError(f"line {line} of the manifest names no split but others do; name it in every row")
    splits: Splits = {"train": [], "val": [], "test": []}
    side: dict[str, SplitName] = {}
    for video in videos:
        assert video.split is not None
        if side.setdefault(_reference(video), video.split) != video.split:
            raise ConfigurationError(
                f"line {video.line} of the manifest puts reference {_reference(video)!r} into {video.split}, an "
                f"earlier one into {side[_reference(video)]}; keep all versions of a reference in one split"
            )
        splits[video.split].append(video)
    return splits


def _test_references(references: list[str], settings: VideoListSettings) -> set[str]:
    if settings.folds is None:
        count = _count(settings.test_fraction, len(references))
        return set(references[len(references) - count :])
    if len(references) < settings.folds:
        raise ConfigurationError(f"{settings.folds} folds need as many reference videos; there are {len(references)}")
    return set(references[settings.fold :: settings.folds])


def _count(fraction: float, total: int) -> int:
    """References of a split: at least one when the fraction is above 0."""
    return max(1, round(fraction * total)) if fraction > 0 else 0


def _reference(video: LabelledVideo) -> str:
    return video.reference if video.reference is not None else video.name
