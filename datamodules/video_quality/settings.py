"""Arguments of the data module of video quality."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.video.clips import KeyFrameLayout, key_frame_positions
from datamodules.video.fragments import FragmentGrid
from datamodules.video.reading.reader import ReaderName, check_time_limit
from datamodules.video_quality.batch import check_label_range
from datamodules.video_quality.demo.sources import DemoSettings
from datamodules.video_quality.labels import DivideColumn, LabelFormat


@settings(kw_only=False)
class VideoListSettings:
    """Where videos and labels are, and how one list becomes three."""

    root: str | None = argument(
        default=None, help="Folder that the names in the lists are relative to; by default the folder of each list."
    )
    label_format: LabelFormat | None = argument(
        default=None, help="What the lists are; never guessed, required with any list."
    )
    train_labels: str | None = argument(default=None, help="List of the training videos.")
    val_labels: str | None = argument(default=None, help="List of the validation videos.")
    test_labels: str | None = argument(
        default=None, help="List of the test videos (and of the videos to predict where ``path`` is not given)."
    )
    labels: str | None = argument(
        default=None, help="One list for all three, split by its column ``split`` (manifest) or by reference video."
    )
    val_fraction: float = argument(
        default=0.1, help="Part of the references in ``labels`` that validates.", low=0, high=1
    )
    test_fraction: float = argument(
        default=0.2, help="Part of the references in ``labels`` that tests; unused with folds.", low=0, high=1
    )
    split_seed: int = argument(default=0, help="Seed of that split.")
    folds: int | None = argument(default=None, help="Number of folds of a cross-validation over ``labels``.")
    fold: int = argument(default=0, help="Fold that tests, from 0.")
    rank_pairs: str | None = argument(
        default=None,
        help="Csv ``video1,video2,rank,group`` of preferences between videos of the validation or test list.",
    )
    path: str | None = argument(
        default=None, help="Videos to predict: a folder, searched with its sub-folders, or one file."
    )
    divide_column: DivideColumn = argument(default="overall", help="Which score of the ``divide`` format is the label.")
    label_range: tuple[float, float] | None = argument(
        default=None,
        help=(
            "Lowest and highest score of the opinion scale, for example 0 and 100; None takes what the format tells "
            "(1 to 5 for kvq, divide and the demo) and otherwise leaves it unknown."
        ),
    )

    @property
    def has_lists(self) -> bool:
        """True when a list of labels is given."""
        return any((self.labels, self.train_labels, self.val_labels, self.test_labels))

    @property
    def is_demo(self) -> bool:
        """True when nothing is given: the generated demo is the data."""
        return not self.has_lists and self.path is None

    def check(self) -> None:
        """Refuse lists that contradict each other, and splits that leave nothing to train on."""
        if self.labels is not None and any((self.train_labels, self.val_labels, self.test_labels)):
            raise ConfigurationError("labels is one list that is split; give either labels or train/val/test_labels")
        if self.has_lists and self.label_format is None:
            raise ConfigurationError(
                "label lists are given without label_format, which is never guessed: name it with "
                "--data.init_args.label_format (kvq, duration_fps_mos, ksvqe, divide or manifest)"
            )
        if self.root is not None and not self.has_lists:
            raise ConfigurationError(
                f"root is {self.root!r} but no label list is given; give train_labels, val_labels and test_labels or "
                "labels, or score unlabelled videos with path"
            )
        if self.folds is None and self.val_fraction + self.test_fraction >= 1:
            raise ConfigurationError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave nothing to train on; "
                "their sum must be below 1"
            )
        if self.folds is not None and (self.folds < 2 or not 0 <= self.fold < self.folds):
            raise ConfigurationError(f"fold {self.fold} of {self.folds} folds: need folds >= 2 and 0 <= fold < folds")
        if self.label_range is not None:
            check_label_range(self.label_range)


@settings(kw_only=False)
class ClipSettings(FragmentGrid):
    """How clips are drawn from a video."""

    clip_length: int = argument(default=32, help="Frames of a clip.", low=1)
    frame_interval: int = argument(default=2, help="Distance of its frames in frames of the video.", low=1)
    train_clips: int = argument(default=1, help="Clips of a video in training, at random.", low=1)
    eval_clips: int = argument(default=3, help="Clips of a video elsewhere, at the centres of equal intervals.", low=1)
    key_frame_layout: KeyFrameLayout = argument(
        default="segment_centers",
        help="Key frames at the centres of equal segments, or where the official program takes them.",
    )
    num_key_frames: int = argument(default=4, help="Key frames of a clip.", low=1)
    content_size: int = argument(default=112, help="Side in pixels that key frames are resized to.", low=1)

    def check(self) -> None:
        """Refuse a layout of key frames that does not fit the clip."""
        self.key_positions()

    def clips(self, training: bool) -> int:
        """Clips of a video, K."""
        return self.train_clips if training else self.eval_clips

    def key_positions(self) -> NDArray[np.int64]:
        """Positions of the key frames within a clip, int64 ``(N_t,)``."""
        return key_frame_positions(self.key_frame_layout, self.clip_length, self.num_key_frames)


@settings(kw_only=False)
class VideoQualityDataSettings(ClipSettings, VideoListSettings):
    """Arguments of `VideoQualityDataModule`."""

    reader: ReaderName = argument(default="decord", help="First reader; decord falls back to PyAV.")
    decode_timeout: float = argument(
        default=60.0, help="Seconds that opening and decoding one file may take, for each reader that tries."
    )
    tone_mapping: bool = argument(
        default=False,
        help="Show PQ and HLG as a usual screen would (BT.2100 to BT.709); other videos stay as they are.",
    )
    on_error: Literal["raise", "skip"] = argument(
        default="raise",
        help='"raise" stops at an unreadable file, "skip" names and counts it; predict always skips.',
    )
    batch_size: int = argument(default=8, help="Videos of a batch.", low=1)
    num_workers: int = argument(default=0, help="Worker processes of a loader; 0 decodes in the main process.", low=0)
    seed: int = argument(default=0, help="Seed of the order and of the random clips.")
    demo: DemoSettings | None = argument(default=None, help="What the generated demo holds; None takes its defaults.")

    def check(self) -> None:
        """Refuse a time limit that is none."""
        check_time_limit(self.decode_timeout)
