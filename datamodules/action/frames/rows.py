"""The frames of each split as rows: where a frame is stored, and what is known of it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.action.frames.store import FrameStore
from datamodules.action.lists.records import SPLITS, ActionVideo, SplitName
from datamodules.action.lists.splits import ActionSplitSettings, assign_frames, assign_videos
from datamodules.common.errors import LabelError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameRows:
    """The N frames of one split, video by video.

    Attributes:
        stored: Row in the frame store, int64 ``(N,)``.
        label: Number of the class, int64 ``(N,)``.
        video_index: Position in ``videos``, int64 ``(N,)``.
        time: Seconds in the video, float64 ``(N,)``; NaN where unknown.
        videos: Names of the split's videos, as their list writes them.
    """

    stored: NDArray[np.int64]
    label: NDArray[np.int64]
    video_index: NDArray[np.int64]
    time: NDArray[np.float64]
    videos: tuple[str, ...]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.stored)

    def class_counts(self, classes: int) -> list[int]:
        """Frames of each class."""
        counts: list[int] = np.bincount(self.label, minlength=classes).tolist()
        return counts


def rows_of_splits(
    videos: Sequence[ActionVideo], store: FrameStore, class_names: Sequence[str], settings: ActionSplitSettings
) -> dict[SplitName, FrameRows]:
    """Deal the stored frames of the videos that the store was made of to train, val and test.

    Raises:
        LabelError: If the list's own splits cannot be used.
    """
    divide = _frame_splits if settings.split_by == "frame" else _video_splits
    splits = divide(videos, store, settings)
    members: dict[SplitName, list[tuple[int, int]]] = defaultdict(list)
    for number, own in enumerate(splits):
        for frame, split in enumerate(own):
            members[split].append((number, frame))
    number_of = {name: number for number, name in enumerate(class_names)}
    rows = {split: _rows(members[split], videos, store, number_of) for split in SPLITS}
    if settings.val_is_test:
        rows["val"] = rows["test"]
    return rows


def _video_splits(
    videos: Sequence[ActionVideo], store: FrameStore, settings: ActionSplitSettings
) -> list[list[SplitName]]:
    splits = assign_videos(videos, settings)
    return [[split] * len(stored.times) for split, stored in zip(splits, store.videos, strict=True)]


def _frame_splits(
    videos: Sequence[ActionVideo], store: FrameStore, settings: ActionSplitSettings
) -> list[list[SplitName]]:
    keys = [
        (f"{video.path} {video.label} {video.start} {frame}", video.label)
        for video, stored in zip(videos, store.videos, strict=True)
        for frame in range(len(stored.times))
    ]
    splits = iter(assign_frames(keys, settings))
    return [[next(splits) for _ in stored.times] for stored in store.videos]


def _rows(
    members: list[tuple[int, int]], videos: Sequence[ActionVideo], store: FrameStore, number_of: dict[str, int]
) -> FrameRows:
    used = list(dict.fromkeys(number for number, _ in members))
    place = {number: position for position, number in enumerate(used)}
    return FrameRows(
        stored=np.array([store.videos[number].first + frame for number, frame in members], dtype=np.int64),
        label=np.array([number_of[videos[number].label] for number, _ in members], dtype=np.int64),
        video_index=np.array([place[number] for number, _ in members], dtype=np.int64),
        time=np.array([store.videos[number].times[frame] for number, frame in members], dtype=np.float64),
        videos=tuple(videos[number].name for number in used),
    )


def check_classes(
    rows: dict[SplitName, FrameRows], class_names: Sequence[str], told: Mapping[str, Mapping[str, int]]
) -> None:
    """Stop where a class has nothing to train on; say where it has nothing to be measured on.

    Args:
        rows: Frames of each split.
        class_names: The classes.
        told: Videos of each class in the splits that are summed up already: a class without one was named there.

    Raises:
        LabelError: Naming the classes that no training frame shows.
    """
    for split in SPLITS:
        counts = rows[split].class_counts(len(class_names))
        absent = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
        if not absent:
            continue
        shown = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
        if split == "train":
            raise LabelError(
                f"no readable frame of {shown} is in the training split; add videos of it, correct the list's splits, "
                "or leave it out by classes"
            )
        if split not in told or any(told[split].get(name) for name in absent):
            _log.warning("no readable frame of %s is in the %s split", shown, split)
