"""Arguments that say where videos are."""

from __future__ import annotations

from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings, texts

LabelFormat = Literal["auto", "videos", "frames", "csv", "kinetics", "ucf"]


@settings(kw_only=False)
class ActionListSettings:
    """Where labelled videos are, and what to annotate."""

    root: str | None = argument(
        default=None,
        help="Folder with a folder for each class, or the folder that the names of a list are relative to.",
    )
    labels: str | list[str] | None = argument(
        default=None,
        help=(
            "A csv ``video,class[,start,end,split,group]``, lists of Kinetics, or the folder of the lists of UCF101."
        ),
    )
    label_format: LabelFormat = argument(default="auto", help='What ``root`` or ``labels`` is; "auto" looks.')
    fold: int = argument(default=1, help="Division of UCF101, from 1.", low=1)
    classes: list[str] | None = argument(default=None, help="Classes that are kept; None keeps all.")
    class_names: list[str] | None = argument(
        default=None,
        help=(
            "Names of the classes in the order of their numbers; None sorts those of the data. In ``predict`` they "
            "are the checkpoint's."
        ),
    )
    path: str | list[str] | None = argument(
        default=None,
        help=(
            "What to annotate: a file, a folder, an address, ``camera:0`` or ``-``; several in a list. By default "
            "the long videos of the demo, or the videos of the test split."
        ),
    )

    @property
    def is_demo(self) -> bool:
        """True when no labelled videos are given: the generated demo is the data."""
        return self.root is None and not self.labels

    @property
    def lists(self) -> list[str]:
        """Lists of labels; none for class folders."""
        return texts(self.labels)

    def check(self) -> None:
        """Refuse arguments that contradict each other."""
        if self.label_format in ("csv", "kinetics", "ucf") and not self.labels:
            raise ConfigurationError(f"label_format is {self.label_format} but no list is given; name it by labels")
        if self.label_format in ("videos", "frames") and (self.labels or self.root is None):
            raise ConfigurationError(
                f"label_format {self.label_format} reads the class folders of root and no list; give root and leave "
                "labels out"
            )
        if self.label_format == "ucf" and len(self.lists) > 1:
            raise ConfigurationError("label_format ucf takes the folder of the lists as labels, and fold chooses")
        for name, value in (("classes", self.classes), ("class_names", self.class_names)):
            if value is not None and (not value or len(set(value)) != len(value)):
                raise ConfigurationError(f"{name} is {list(value)}; it must name at least one class, and each once")
