"""Where the videos of each split come from: lists, one list that is split, a folder, or the generated demo."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.video.finding import find_videos
from datamodules.video_quality.labels import DivideColumn, LabelFormat, LabelledVideo, SplitName, read_labels
from datamodules.video_quality.splits import SplitSettings, split_by_column, split_by_reference

Split = Literal["train", "val", "test", "predict"]
_DEMO_FORMAT: LabelFormat = "manifest"
_LISTED: tuple[SplitName, ...] = ("train", "val", "test")
_KNOWN_RANGES: dict[LabelFormat, tuple[float, float]] = {"kvq": (1.0, 5.0), "divide": (1.0, 5.0)}


@dataclass(frozen=True)
class LabelSources:
    """The arguments of the data module that say where videos and labels are.

    Raises:
        ConfigurationError: If they contradict each other.
    """

    root: str | None = None
    label_format: LabelFormat | None = None
    train_labels: str | None = None
    val_labels: str | None = None
    test_labels: str | None = None
    labels: str | None = None
    path: str | None = None
    divide_column: DivideColumn = "overall"
    split: SplitSettings = field(default_factory=SplitSettings)

    def __post_init__(self) -> None:
        if self.labels is not None and any((self.train_labels, self.val_labels, self.test_labels)):
            raise ConfigurationError("labels is one list that is split; give either labels or train/val/test_labels")
        if self._has_lists and self.label_format is None:
            raise ConfigurationError(
                "label lists are given without label_format; name it (kvq, duration_fps_mos, ksvqe, divide or "
                "manifest), it is never guessed"
            )
        if self.root is not None and not self._has_lists:
            raise ConfigurationError(
                f"root is {self.root!r} but no label list is given; give train_labels, val_labels and test_labels or "
                "labels, or score unlabelled videos with path"
            )

    @property
    def _has_lists(self) -> bool:
        return any((self.labels, self.train_labels, self.val_labels, self.test_labels))

    @property
    def is_demo(self) -> bool:
        """True when nothing is given: the generated demo is the data."""
        return not self._has_lists and self.path is None

    @property
    def label_range(self) -> tuple[float, float] | None:
        """Ends of the opinion scale where the source of the labels tells them; None where it does not."""
        if self.is_demo:
            return (1.0, 5.0)
        return _KNOWN_RANGES.get(self.label_format) if self.label_format is not None else None

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
        if split == "predict" and self.path is not None:
            return [LabelledVideo(path=found.path, name=found.name) for found in find_videos(self.path)]
        wanted: SplitName = "test" if split == "predict" else split
        if demo is None and self.labels is None and self._file(wanted) is None:
            raise ConfigurationError(f"{wanted}_labels is not given, but the {split} videos are needed; name the list")
        videos = self._listed(wanted, demo, scores=split != "predict", require_files=require_files)
        if not videos:
            raise ConfigurationError(f"{self.labels} leaves the {wanted} split empty; raise {wanted}_fraction")
        return videos

    def listed_names(self, demo: Path | None = None) -> set[str]:
        """Names in all lists, whatever else is wrong with those lists' scores and files."""
        names: set[str] = set()
        for split in _LISTED:
            if self._has_lists and self.labels is None and self._file(split) is None:
                continue
            names |= {video.name for video in self._listed(split, demo, scores=False, require_files=False)}
        return names

    def _listed(self, split: SplitName, demo: Path | None, *, scores: bool, require_files: bool) -> list[LabelledVideo]:
        """Videos of one split of the demo, of the one list, or of the split's own list."""
        if demo is not None:
            file, label_format, root = str(demo / "manifest.csv"), _DEMO_FORMAT, None
        else:
            own = self.labels if self.labels is not None else self._file(split)
            assert own is not None
            assert self.label_format is not None
            file, label_format, root = own, self.label_format, self.root
        videos = read_labels(
            file,
            label_format,
            root,
            divide_column=self.divide_column,
            require_scores=scores,
            require_files=require_files,
        )
        if demo is None and self.labels is None:
            return videos
        return (split_by_column(videos) or split_by_reference(videos, self.split))[split]

    def _file(self, split: SplitName) -> str | None:
        return {"train": self.train_labels, "val": self.val_labels, "test": self.test_labels}[split]
