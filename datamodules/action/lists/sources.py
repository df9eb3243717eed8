"""Where the labelled videos come from: class folders, a csv, the lists of Kinetics or UCF101, or the generated demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datamodules.action.lists.class_folders import FRAME_LIST, folder_kind, read_class_folders
from datamodules.action.lists.public import read_kinetics, read_ucf
from datamodules.action.lists.records import ActionVideo, did_you_mean
from datamodules.action.lists.settings import ActionListSettings, LabelFormat
from datamodules.action.lists.table import read_video_list
from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.tables.rows import read_rows

DEMO_LIST = "clips.csv"


def read_videos(settings: ActionListSettings, demo: Path | None = None) -> list[ActionVideo]:
    """Read all labelled videos, or those of the demo in a folder, in the order of their list or sorted by path.

    Raises:
        ConfigurationError: If nothing fits, or ``classes`` names a class without a video.
        LabelError: If a list is wrong or a class is not among ``class_names``.
    """
    videos = _read(settings, demo)
    found = sorted({video.label for video in videos})
    for name in settings.classes or ():
        if name not in found:
            raise ConfigurationError(f"classes names {name!r}, which no video has: {did_you_mean(name, found)}")
    videos = [video for video in videos if settings.classes is None or video.label in settings.classes]
    known = settings.class_names
    for video in videos:
        if known is not None and video.label not in known:
            raise LabelError(
                f"{video.source}: {video.name} has class {video.label!r}, which is not among the class names: "
                f"{did_you_mean(video.label, known)}; classes keeps only those that you name"
            )
    return videos


def _read(settings: ActionListSettings, demo: Path | None) -> list[ActionVideo]:
    if demo is not None:
        return read_video_list(demo / DEMO_LIST, None)
    kind = settings.label_format if settings.label_format != "auto" else detect_format(settings.root, settings.lists)
    if kind in ("videos", "frames"):
        assert settings.root is not None  # checked on construction, or found by looking into it
        return read_class_folders(settings.root, "frames" if kind == "frames" else "videos")
    if kind == "kinetics":
        return read_kinetics(settings.lists, settings.root)
    if kind == "ucf":
        return read_ucf(settings.lists[0], settings.root, settings.fold)
    known = None if settings.class_names is None or settings.classes is not None else list(settings.class_names)
    return [video for path in settings.lists for video in read_video_list(path, settings.root, known)]


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
