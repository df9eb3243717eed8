"""Where the videos of each split come from: lists, one list that is split, a folder, or the generated demo."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.video.finding import find_videos
from datamodules.video_quality.labels import LabelFormat, LabelledVideo, SplitName, read_labels
from datamodules.video_quality.settings import VideoListSettings
from datamodules.video_quality.splits import split_by_column, split_by_reference

Split = Literal["train", "val", "test", "predict"]
_DEMO_FORMAT: LabelFormat = "manifest"
_LISTED: tuple[SplitName, ...] = ("train", "val", "test")
_KNOWN_RANGES: dict[LabelFormat, tuple[float, float]] = {"kvq": (1.0, 5.0), "divide": (1.0, 5.0)}


class LabelSources:
    """Reads the lists."""

    def __init__(self, settings: VideoListSettings) -> None:
        self.settings = settings

    @property
    def label_range(self) -> tuple[float, float] | None:
        """Ends of the opinion scale where the source of the labels tells them; None where it does not."""
        if self.settings.is_demo:
            return (1.0, 5.0)
        return _KNOWN_RANGES.get(self.settings.label_format) if self.settings.label_format is not None else None

    def load(self, split: Split, *, demo: Path | None = None, require_files: bool = True) -> list[LabelledVideo]:
        """Read the videos of one split.

        Args:
            split: Which. "predict" is the videos of ``path``, or those of the test split where there is no ``path``.
            demo: Folder of the generated demo.
            require_files: Reject lists that name absent videos.

        Raises:
            ConfigurationError: If nothing is given for this split.
            LabelError: If a list is wrong.
        """
        if split == "predict" and self.settings.path is not None:
            return [LabelledVideo(path=found.path, name=found.name) for found in find_videos(self.settings.path)]
        wanted: SplitName = "test" if split == "predict" else split
        if demo is None and self.settings.labels is None and self._file(wanted) is None:
            raise ConfigurationError(f"{wanted}_labels is not given, but the {split} videos are needed; name the list")
        videos = self._listed(wanted, demo, scores=split != "predict", require_files=require_files)
        if not videos:
            raise ConfigurationError(f"{self.settings.labels} leaves the {wanted} split empty; raise {wanted}_fraction")
        return videos

    def has(self, split: SplitName) -> bool:
        """Whether a list is given from which this split comes."""
        return self.settings.is_demo or self.settings.labels is not None or self._file(split) is not None

    def listed_names(self, demo: Path | None = None) -> set[str]:
        """Names in all lists, whatever else is wrong with those lists' scores and files."""
        names: set[str] = set()
        for split in _LISTED:
            if self.settings.has_lists and self.settings.labels is None and self._file(split) is None:
                continue
            names |= {video.name for video in self._listed(split, demo, scores=False, require_files=False)}
        return names

    def _listed(self, split: SplitName, demo: Path | None, *, scores: bool, require_files: bool) -> list[LabelledVideo]:
        """Videos of one split of the demo, of the one list, or of the split's own list."""
        if demo is not None:
            file, label_format, root = str(demo / "manifest.csv"), _DEMO_FORMAT, None
        else:
            own = self.settings.labels if self.settings.labels is not None else self._file(split)
            assert own is not None
            assert self.settings.label_format is not None
            file, label_format, root = own, self.settings.label_format, self.settings.root
        videos = read_labels(
            file,
            label_format,
            root,
            divide_column=self.settings.divide_column,
            require_scores=scores,
            require_files=require_files,
        )
        if demo is None and self.settings.labels is None:
            return videos
        return (split_by_column(videos) or split_by_reference(videos, self.settings))[split]

    def _file(self, split: SplitName) -> str | None:
        return {
            "train": self.settings.train_labels,
            "val": self.settings.val_labels,
            "test": self.settings.test_labels,
        }[split]
