"""The data module of video quality."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler
from datamodules.common.settings import takes
from datamodules.common.splits import SPLITS, SPLITS_OF_STAGE, SplitName
from datamodules.summary.checks import announce
from datamodules.summary.training_data import DataSummary
from datamodules.video.fragments import FragmentGrid
from datamodules.video_quality.batch import VideoQualityBatch
from datamodules.video_quality.contents import score_summary
from datamodules.video_quality.dataset import VideoQualityDataset, VideoQualityItem, collate
from datamodules.video_quality.demo.sources import DemoSettings
from datamodules.video_quality.labels import LabelledVideo, read_rank_pairs
from datamodules.video_quality.settings import ClipSettings, VideoQualityDataSettings
from datamodules.video_quality.sources import LabelSources, Split

_log = logging.getLogger(__name__)


class VideoQualityDataModule(LightningDataModule):
    """Videos with opinion scores, decoded once each and cut into fragments and key frames.

    Without lists, ``root`` and ``path`` the data is the generated demo. Batches follow ``VideoQualityBatch``; every
    random draw comes from ``(seed, epoch, row)`` and none from a global generator, so that workers need no seeds
    of their own. The sampler splits the rows between processes itself, marks padding, and is left alone by Lightning.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
        LabelError: If ``rank_pairs`` is malformed; the other lists are read in ``setup``.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(VideoQualityDataSettings)
    def __init__(self, settings: VideoQualityDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self._sources = LabelSources(settings)
        self.grid_size = settings.grid_size
        self.fragment_size = settings.fragment_size
        self.clip_length = settings.clip_length
        self.key_frame_layout = settings.key_frame_layout
        self.num_key_frames = settings.num_key_frames
        self.content_size = settings.content_size
        self.rank_pairs = None if settings.rank_pairs is None else read_rank_pairs(settings.rank_pairs)
        self.label_range = settings.label_range or self._sources.label_range
        self._videos: dict[Split, list[LabelledVideo]] = {}
        self._excluded: set[str] = set()
        self._unreadable: dict[str, str] = {}

    @property
    def score_options(self) -> dict[str, object]:
        """Every option that can change a video's score, plain values; a score is reused only where these agree."""
        settings = self.settings
        clips = {one.name: getattr(settings, one.name) for one in fields(ClipSettings) if one.name != "train_clips"}
        grid = {one.name: clips.pop(one.name) for one in fields(FragmentGrid)}
        count = clips.pop("eval_clips")
        others = {name: getattr(settings, name) for name in ("reader", "tone_mapping", "batch_size")}
        return {"grid": grid, "clips": count, **clips, **others}

    def prepare_data(self) -> None:
        """Make the demo once, before the processes of a run part."""
        if self.settings.is_demo:
            self._demo_folder()

    def setup(self, stage: str) -> None:
        """Read the lists that a stage needs, so that errors come before any work; in ``fit``, say what they hold."""
        for split in SPLITS_OF_STAGE.get(stage, ()):
            self.videos(split)
        if self.settings.rank_pairs is not None and stage != "predict":
            folder = self._demo_folder() if self.settings.is_demo else None
            read_rank_pairs(self.settings.rank_pairs, self._sources.listed_names(folder))
        if stage == "fit":
            summary = self._summary(("train", "val"))  # the test list is not read to train
            announce(summary, generated=self.settings.is_demo)

    def data_summary(self) -> DataSummary:
        """Videos and scores of the splits that are given; equal training scores are a fault.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If there is nothing to train on.
        """
        return self._summary([split for split in SPLITS if split != "test" or self._sources.has(split)])

    def videos(self, split: Split) -> list[LabelledVideo]:
        """All videos of a split in the order of its list; those given to ``exclude`` are still among them.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If nothing is given for this split.
        """
        if split not in self._videos:
            folder = self._demo_folder() if self.settings.is_demo else None
            require_files = self.settings.on_error == "raise" and split != "predict"
            self._videos[split] = self._sources.load(split, demo=folder, require_files=require_files)
        return self._videos[split]

    def _summary(self, splits: Sequence[SplitName]) -> DataSummary:
        return score_summary({split: self.videos(split) for split in splits})

    def exclude(self, paths: Iterable[str | Path]) -> None:
        """Skip these files in ``predict``; a resumed run gives those whose rows it already has."""
        self._excluded |= {str(Path(path).absolute()) for path in paths}

    def train_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Random clips in an order that changes with the epoch."""
        loader = self._loader("train")
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the validation videos."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the test videos."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[VideoQualityItem]:
        """Fixed clips of the videos to score; a file that cannot be read is a row with ``valid`` False."""
        return self._loader("predict")

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

    def _loader(self, split: Split) -> ResumableLoader[VideoQualityItem]:
        videos = self.videos(split)
        training = split == "train"
        excluded = self._excluded if split == "predict" else set()
        dataset = VideoQualityDataset(
            videos,
            self.settings,
            training=training,
            seed=self.settings.seed,
            reader=self.settings.reader,
            decode_timeout=self.settings.decode_timeout,
            tone_mapping=self.settings.tone_mapping,
            on_error="raise" if self.settings.on_error == "raise" and split != "predict" else "report",
            rows=[row for row, video in enumerate(videos) if video.path not in excluded],
        )
        sampler = PaddedDistributedSampler(dataset, shuffle=training, seed=self.settings.seed)
        return ResumableLoader(
            dataset,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.settings.num_workers > 0 and split in ("train", "val"),
            # a last batch of one or two videos tells nothing of correlation or rank
            drop_last=training and len(sampler) >= self.settings.batch_size,
        )

    def _demo_folder(self) -> Path:
        from datamodules.video_quality.demo.making import make_demo

        return make_demo(self.settings.demo or DemoSettings())
