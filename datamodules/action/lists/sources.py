"""Where the labelled videos come from: class folders, a csv, the lists of Kinetics or UCF101, or the generated demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.action.lists.class_folders import FRAME_LIST, folder_kind, read_class_folders
from datamodules.action.lists.public import read_kinetics, read_ucf
from datamodules.action.lists.records import ActionVideo, did_you_mean
from datamodules.action.lists.table import read_video_list
from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.manifest import read_rows

LabelFormat = Literal["auto", "videos", "frames", "csv", "kinetics", "ucf"]
DEMO_LIST = "clips.csv"


@dataclass(frozen=True)
class ActionSources:
    """The arguments of the data module that say where videos and labels are.

    Args:
        root: Folder of the class folders, or the one that the names of a list are relative to.
        labels: Lists of labels; empty for class folders.
        label_format: What they are; "auto" looks.
        fold: Division of UCF101, from 1.
        classes: Classes that are kept; None keeps all.
        class_names: Names of the classes in the order of their numbers; None sorts those that are found.

    Raises:
        ConfigurationError: If they contradict each other.
    """

    root: str | None = None
    labels: tuple[str, ...] = ()
    label_format: LabelFormat = "auto"
    fold: int = 1
    classes: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        needs_list = self.label_format in ("csv", "kinetics", "ucf")
        if needs_list and not self.labels:
            raise ConfigurationError(f"label_format is {self.label_format} but no list is given; name it by labels")
        if self.label_format in ("videos", "frames") and (self.labels or self.root is None):
            raise ConfigurationError(
                f"label_format {self.label_format} reads the class folders of root and no list; give root and leave "
                "labels out"
            )
        if self.label_format == "ucf" and len(self.labels) > 1:
            raise ConfigurationError("label_format ucf takes the folder of the lists as labels, and fold chooses")
        if self.fold < 1:
            raise ConfigurationError(f"fold is {self.fold}; the divisions of UCF101 are 1, 2 and 3")
        for name, value in (("classes", self.classes), ("class_names", self.class_names)):
            if value is not None and (not value or len(set(value)) != len(value)):
                raise ConfigurationError(f"{name} is {list(value)}; it must name at least one class, and each once")

    @property
    def is_demo(self) -> bool:
        """True when nothing is given: the generated demo is the data."""
        return self.root is None and not self.labels

    def load(self, demo: Path | None = None) -> list[ActionVideo]:
        """Read all labelled videos, in the order of their list or sorted by path.

        Args:
            demo: Folder of the generated demo.

        Raises:
            ConfigurationError: If nothing fits, or ``classes`` names a class without a video.
            LabelError: If a list is wrong or a class is not among ``class_names``.
        """
        videos = self._read(demo)
        found = sorted({video.label for video in videos})
        for name in self.classes or ():
            if name not in found:
                raise ConfigurationError(f"classes names {name!r}, which no video has: {did_you_mean(name, found)}")
        videos = [video for video in videos if self.classes is None or video.label in self.classes]
        known = self.class_names
        for video in videos:
            if known is not None and video.label not in known:
                raise LabelError(
                    f"{video.source}: {video.name} has class {video.label!r}, which is not among the class names: "
                    f"{did_you_mean(video.label, known)}; classes keeps only those that you name"
                )
        return videos

    def _read(self, demo: Path | None) -> list[ActionVideo]:
        if demo is not None:
            return read_video_list(demo / DEMO_LIST, None)
        kind = self.label_format if self.label_format != "auto" else detect_format(self.root, self.labels)
        if kind in ("videos", "frames"):
            assert self.root is not None  # checked on construction, or found by looking into it
            return read_class_folders(self.root, "frames" if kind == "frames" else "videos")
        if kind == "kinetics":
            return read_kinetics(self.labels, self.root)
        if kind == "ucf":
            return read_ucf(self.labels[0], self.root, self.fold)
        known = None if self.class_names is None or self.classes is not None else list(self.class_names)
        return [video for path in self.labels for video in read_video_list(path, self.root, known)]


def detect_format(root: str | None, labels: Sequence[str]) -> LabelFormat:
    """What lists or folders are, from their names and the first line.

    Raises:
        ConfigurationError: If neither is given, or they tell nothing.
        LabelError: If a list cannot be read.
    """
    if not labels:
        if root is None:
            raise ConfigurationError("neither root nor labels is given; give a folder of class folders or a list")
        return "frames" if (Path(root) / FRAME_LIST).is_file() else folder_kind(root)
    if Path(labels[0]).is_dir() or Path(labels[0]).suffix.lower() == ".txt":
        return "ucf"
    header = read_rows(labels[0])[0].fields
    if "youtube_id" in header:
        return "kinetics"
    if "video" in header:
        return "csv"
    raise ConfigurationError(
        f"{labels[0]} begins with {','.join(header)[:60]!r}, which is neither a csv (video,class,...) nor a list of "
        "Kinetics (label,youtube_id,...) or UCF101 (trainlist01.txt); name its label_format"
    )
