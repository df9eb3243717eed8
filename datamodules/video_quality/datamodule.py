"""The data module of video quality."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler
from datamodules.video.clips import KeyFrameLayout
from datamodules.video.fragments import FragmentGrid
from datamodules.video.reading.reader import ReaderName, check_time_limit
from datamodules.video_quality.batch import VideoQualityBatch, check_label_range
from datamodules.video_quality.clip_sampler import ClipSettings
from datamodules.video_quality.dataset import VideoQualityDataset, VideoQualityItem, collate
from datamodules.video_quality.demo.sources import DemoSettings
from datamodules.video_quality.labels import DivideColumn, LabelFormat, LabelledVideo, read_rank_pairs
from datamodules.video_quality.sources import LabelSources, Split
from datamodules.video_quality.splits import SplitSettings

_log = logging.getLogger(__name__)


class VideoQualityDataModule(LightningDataModule):
    """Videos with opinion scores, decoded once each and cut into fragments and key frames.

    Without lists, ``root`` and ``path`` the data is the generated demo. Batches follow ``VideoQualityBatch``; every
    random draw comes from ``(seed, epoch, row)`` and none from a global generator, so that workers need no seeds
    of their own. The sampler splits the rows between processes itself, marks padding, and is left alone by Lightning.

    Args:
        root: Folder that the names in the lists are relative to; by default the folder of each list.
        label_format: What the lists are; never guessed, required with any list.
        train_labels: List of the training videos.
        val_labels: List of the validation videos.
        test_labels: List of the test videos (and of the videos to predict where ``path`` is not given).
        labels: One list for all three, split by its column ``split`` (manifest) or by reference video.
        val_fraction: Part of the references in ``labels`` that validates.
        test_fraction: Part of the references in ``labels`` that tests; unused with folds.
        split_seed: Seed of that split.
        folds: Number of folds of a cross-validation over ``labels``.
        fold: Fold that tests, from 0.
        rank_pairs: Csv ``video1,video2,rank,group`` of preferences between videos of the validation or test list.
        path: Videos to predict: a folder, searched with its sub-folders, or one file.
        divide_column: Which score of the ``divide`` format is the label.
        label_range: Lowest and highest score of the opinion scale, for example 0 and 100; None takes what the format
            tells (1 to 5 for kvq, divide and the demo) and otherwise leaves it unknown.
        grid_size: Cells along each side of the grid of fragments.
        fragment_size: Side of a fragment in pixels.
        aligned: Frames over which the fragments stay in place.
        clip_length: Frames of a clip.
        frame_interval: Distance of its frames in frames of the video.
        train_clips: Clips of a video in training, at random.
        eval_clips: Clips of a video elsewhere, at the centres of equal intervals.
        key_frame_layout: Key frames at the centres of equal segments, or where the official program takes them.
        num_key_frames: Key frames of a clip.
        content_size: Side in pixels that key frames are resized to.
        reader: First reader; decord falls back to PyAV.
        decode_timeout: Seconds that opening and decoding one file may take, for each reader that tries.
        on_error: "raise" stops at an unreadable file, "skip" names and counts it; predict always skips.
        batch_size: Videos of a batch.
        num_workers: Worker processes of a loader; 0 decodes in the main process.
        seed: Seed of the order and of the random clips.
        demo: What the generated demo holds; None takes its defaults.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
        LabelError: If ``rank_pairs`` is malformed; the other lists are read in ``setup``.
    """

    def __init__(
        self,
        root: str | None = None,
        label_format: LabelFormat | None = None,
        train_labels: str | None = None,
        val_labels: str | None = None,
        test_labels: str | None = None,
        labels: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int | None = None,
        fold: int = 0,
        rank_pairs: str | None = None,
        path: str | None = None,
        divide_column: DivideColumn = "overall",
        label_range: tuple[float, float] | None = None,
        grid_size: int = 9,
        fragment_size: int = 32,
        aligned: int = 8,
        clip_length: int = 32,
        frame_interval: int = 2,
        train_clips: int = 1,
        eval_clips: int = 3,
        key_frame_layout: KeyFrameLayout = "segment_centers",
        num_key_frames: int = 4,
        content_size: int = 112,
        reader: ReaderName = "decord",
        decode_timeout: float = 60.0,
        on_error: Literal["raise", "skip"] = "raise",
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        demo: DemoSettings | None = None,
    ) -> None:
        super().__init__()
        split = SplitSettings(val_fraction, test_fraction, split_seed, folds, fold)
        self._sources = LabelSources(
            root, label_format, train_labels, val_labels, test_labels, labels, path, divide_column, split
        )
        grid = FragmentGrid(grid_size, fragment_size, aligned)
        self._eval_clips = ClipSettings(
            grid, clip_length, frame_interval, eval_clips, key_frame_layout, num_key_frames, content_size
        )
        self._train_clips = replace(self._eval_clips, clips=train_clips)
        if batch_size < 1 or num_workers < 0:
            raise ConfigurationError(
                f"batch_size {batch_size} must be at least 1 and num_workers {num_workers} at least 0"
            )
        check_time_limit(decode_timeout)
        self.grid_size = grid_size
        self.fragment_size = fragment_size
        self.clip_length = clip_length
        self.key_frame_layout = key_frame_layout
        self.num_key_frames = num_key_frames
        self.content_size = content_size
        self.rank_pairs = None if rank_pairs is None else read_rank_pairs(rank_pairs)
        self.label_range = self._sources.label_range if label_range is None else check_label_range(label_range)
        self._rank_pairs_file = rank_pairs
        self._reader: ReaderName = reader
        self._decode_timeout = decode_timeout
        self._on_error = on_error
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._seed = seed
        self._demo = demo if demo is not None else DemoSettings()
        self._videos: dict[Split, list[LabelledVideo]] = {}
        self._excluded: set[str] = set()
        self._unreadable: dict[str, str] = {}

    @property
    def score_options(self) -> dict[str, object]:
        """Every option that can change a video's score, plain values; a score is reused only where these agree."""
        return {**asdict(self._eval_clips), "reader": self._reader, "batch_size": self._batch_size}

    def prepare_data(self) -> None:
        """Make the demo once, before the processes of a run part."""
        if self._sources.is_demo:
            self._demo_folder()

    def setup(self, stage: str) -> None:
        """Read the lists that a stage needs, so that their errors come before any work."""
        for split in _SPLITS_OF_STAGE.get(stage, ()):
            self.videos(split)
        if self._rank_pairs_file is not None and stage != "predict":
            folder = self._demo_folder() if self._sources.is_demo else None
            read_rank_pairs(self._rank_pairs_file, self._sources.listed_names(folder))

    def videos(self, split: Split) -> list[LabelledVideo]:
        """All videos of a split in the order of its list; those given to ``exclude`` are still among them.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If nothing is given for this split.
        """
        if split not in self._videos:
            folder = self._demo_folder() if self._sources.is_demo else None
            require_files = self._on_error == "raise" and split != "predict"
            self._videos[split] = self._sources.load(split, demo=folder, require_files=require_files)
        return self._videos[split]

    def exclude(self, paths: Iterable[str | Path]) -> None:
        """Skip these files in ``predict``; a resumed run gives those whose rows it already has."""
        self._excluded |= {str(Path(path).absolute()) for path in paths}

    def train_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Random clips in an order that changes with the epoch."""
        loader = self._loader("train", self._train_clips)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the validation videos."""
        return self._loader("val", self._eval_clips)

    def test_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the test videos."""
        return self._loader("test", self._eval_clips)

    def predict_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the videos to score; a file that cannot be read is a row with ``valid`` False."""
        return self._loader("predict", self._eval_clips)

    def on_before_batch_transfer(self, batch: VideoQualityBatch, dataloader_idx: int) -> VideoQualityBatch:
        """Name each file that could not be read, once."""
        for record in batch["record"]:
            if record["status"] == "error" and record["path"] not in self._unreadable:
                self._unreadable[record["path"]] = record["error"]
                _log.warning("skipped: %s", record["error"])
        return batch

    def teardown(self, stage: str) -> None:
        """Count the files that could not be read."""
        if self._unreadable and stage != "predict":  # there, the writer of the rows counts them
            _log.warning("%d file(s) could not be read and were skipped in %s", len(self._unreadable), str(stage))
        self._unreadable = {}

    def _loader(self, split: Split, clips: ClipSettings) -> ResumableLoader[VideoQualityItem]:
        videos = self.videos(split)
        training = split == "train"
        excluded = self._excluded if split == "predict" else set()
        dataset = VideoQualityDataset(
            videos,
            clips,
            training=training,
            seed=self._seed,
            reader=self._reader,
            decode_timeout=self._decode_timeout,
            on_error="raise" if self._on_error == "raise" and split != "predict" else "report",
            rows=[row for row, video in enumerate(videos) if video.path not in excluded],
        )
        sampler = PaddedDistributedSampler(dataset, shuffle=training, seed=self._seed)
        return ResumableLoader(
            dataset,
            batch_size=self._batch_size,
            sampler=sampler,
            num_workers=self._num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self._num_workers > 0 and split in ("train", "val"),
            # a last batch of one or two videos tells nothing of correlation or rank
            drop_last=training and len(sampler) >= self._batch_size,
        )

    def _demo_folder(self) -> Path:
        from datamodules.video_quality.demo.making import make_demo

        return make_demo(self._demo)


_SPLITS_OF_STAGE: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("predict",),
}
