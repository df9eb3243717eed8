"""Labelled videos, their stored frames and the splits: everything that is learned from, read once and kept."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.action.demo.settings import DEMO_CLASSES, ActionDemoSettings
from datamodules.action.frames.rows import FrameRows, check_classes, rows_of_splits
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.frames.store import FrameStore, frame_store
from datamodules.action.lists.records import SPLITS, ActionVideo, SplitName
from datamodules.action.lists.sources import read_videos
from datamodules.action.lists.splits import assign_videos
from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import config_digest
from datamodules.summary.checks import absent_classes
from datamodules.summary.training_data import DataSummary, SplitSummary

_log = logging.getLogger(__name__)


class LabelledFrames:
    """The labelled side of the data module; each part is read when it is first asked for."""

    def __init__(self, settings: ActionFrameSettings) -> None:
        self._settings = settings
        self._videos: list[ActionVideo] | None = None
        self._store: FrameStore | None = None
        self._rows: dict[SplitName, FrameRows] | None = None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their numbers; known without making the demo."""
        if self._settings.class_names is not None:
            return list(self._settings.class_names)
        if self._settings.is_demo:
            kept = self._settings.classes
            return sorted(name for name in DEMO_CLASSES if kept is None or name in kept)
        return sorted({video.label for video in self.videos()})

    def demo_folder(self) -> Path:
        """Make the demo unless it is there."""
        from datamodules.action.demo.making import (
            make_action_demo,  # drawing and encoding are not needed for other data
        )

        return make_action_demo(self._settings.demo or ActionDemoSettings())

    def videos(self) -> list[ActionVideo]:
        """All labelled videos.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If nothing fits.
        """
        if self._videos is None:
            self._videos = read_videos(self._settings, self.demo_folder() if self._settings.is_demo else None)
        return self._videos

    def prepare(self) -> None:
        """Make the demo and decode the frames, without keeping anything in memory."""
        frame_store(self.videos(), self._settings)

    def store(self) -> FrameStore:
        """The decoded frames."""
        if self._store is None:
            self._store = frame_store(self.videos(), self._settings)
        return self._store

    def splits(self) -> dict[SplitName, FrameRows]:
        """The frames of all splits; some may have none."""
        if self._rows is None:
            if errors := self.store().errors:
                _log.warning("%d file(s) cannot be read and are left out, such as %s", len(errors), errors[0])
            self._rows = rows_of_splits(self.videos(), self.store(), self.class_names, self._settings)
        return self._rows

    def rows(self, split: SplitName) -> FrameRows:
        """The frames of one split.

        Raises:
            ConfigurationError: If it has none.
        """
        rows = self.splits()[split]
        if not len(rows):
            raise ConfigurationError(
                f"there is no frame in the {split} split; give more videos, a larger share in split, or name the "
                "splits in the list"
            )
        return rows

    def check_training(self) -> None:
        """Stop where a class has nothing to train on, and warn of splits that measure something else than they seem to.

        Raises:
            LabelError: Naming the classes without a training frame.
        """
        told = {} if self._settings.split_by == "frame" else {one.name: one.classes for one in self.summary().splits}
        check_classes(self.splits(), self.class_names, told)
        if self._settings.split_by == "frame":
            _log.warning("split_by is frame: neighbouring frames lie on both sides, so that accuracy measures memory")
        if self._settings.val_is_test:
            _log.warning("val_is_test is on: the test split selects the model, so that its accuracy is too good")

    def summary(self) -> DataSummary:
        """Videos of each class in each split; where frames are parted one by one, of all splits together."""
        videos = self.videos()
        if self._settings.split_by == "frame":
            return DataSummary("videos", [_split_summary("train", videos, self.class_names)])
        sides = list(zip(assign_videos(videos, self._settings), videos, strict=True))
        splits = [
            _split_summary(split, [video for side, video in sides if side == split], self.class_names)
            for split in SPLITS
        ]
        filled = [split for split in splits if split.samples]
        remedy = "add videos of it, correct the list's splits, or leave it out by classes"
        return DataSummary("videos", filled, absent_classes(filled, self.class_names, remedy))

    def test_paths(self) -> list[str]:
        """Files of the test split; none where the videos are stored as pictures."""
        splits = assign_videos(self.videos(), self._settings)
        kept = zip(self.videos(), splits, strict=True)
        return sorted({video.path for video, split in kept if split == "test" and not video.pictures})

    def fingerprint(self) -> str:
        """Name of the frames of all splits, their classes and their order."""
        rows = {name: [own.stored.tolist(), own.label.tolist()] for name, own in self.splits().items()}
        return config_digest({"store": self.store().key, "classes": self.class_names, "rows": rows})


def _split_summary(split: str, videos: Sequence[ActionVideo], class_names: Sequence[str]) -> SplitSummary:
    counts = Counter(video.label for video in videos)
    return SplitSummary(split, len(videos), len(videos), {name: counts[name] for name in class_names})
