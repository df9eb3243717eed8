"""The half of the action data module that is learned from: single labelled frames, or their cached features."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch
from datamodules.action.frames.augmentation import DRAWS, ActionAugmentation, augment
from datamodules.action.frames.balanced_sampler import BalancedSampler
from datamodules.action.frames.dataset import ActionFrameDataset, FeatureShards
from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.rows import FrameRows
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import SplitName
from datamodules.common.resuming import ResumableLoader, leaves_one
from datamodules.common.sampler import PaddedDistributedSampler, only
from datamodules.common.seeded_draws import row_draws


class FrameDataModule(LightningDataModule):
    """Loaders of labelled frames, and what a cache of their features asks for."""

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    def __init__(self, settings: ActionFrameSettings) -> None:
        super().__init__()
        self._frames = LabelledFrames(settings)
        self._loading = settings
        self._augmentation = settings.augmentation or ActionAugmentation()
        self._features: Path | None = None

    @property
    def class_counts(self) -> list[int]:
        """Training frames of each class."""
        return self.rows("train").class_counts(len(self._frames.class_names))

    def rows(self, split: SplitName) -> FrameRows:
        """The frames of a split; an error where it has none."""
        return self._frames.rows(split)

    def data_fingerprint(self) -> str:
        """Name of the frames of all splits, their classes and their order; other data, another name."""
        return self._frames.fingerprint()

    def view_facts(self) -> dict[str, object]:
        """What ``augment_view`` depends on besides the frames: the seed, how it draws, each setting, plain values."""
        return {"seed": self._loading.seed, "draws": "counted", **asdict(self._augmentation)}

    def frame_batches(self, split: SplitName, view: int | None = None) -> DataLoader[ActionBatch]:
        """Batches of all frames of a split in the order of its rows, on the CPU; none where it is empty.

        Args:
            split: The split.
            view: Number of the augmentation, see ``augment_view``; None leaves the frames as they are.
        """
        dataset = ActionFrameDataset(self._frames.splits()[split], self._frames.store())
        collate = only if view is None else partial(_viewed, self._augmentation, self._loading.seed, view)
        return DataLoader(dataset, self._loading.batch_size, num_workers=self._loading.num_workers, collate_fn=collate)

    def augment_view(self, frames: Tensor, index: Tensor, view: int) -> Tensor:
        """Augment frames as epoch ``view`` of a training sees them, a function of the seed, the view and the rows.

        Args:
            frames: uint8 ``(B, 3, S, S)`` on any device.
            index: Their rows in the training split, int64 ``(B,)``.
            view: Number of the view, from 0.

        Returns:
            uint8 ``(B, 3, S, S)``.
        """
        return augment(frames, self._augmentation, row_draws(DRAWS, self._loading.seed, view, index))

    def use_features(self, folder: str | Path) -> None:
        """From now on batches of train, val and test hold cached features in place of frames.

        Args:
            folder: Holds ``<split>.view<k>.safetensors`` with ``features`` ``(N, F)`` in the order of the split's rows;
                epoch e reads view e modulo their number.
        """
        self._features = Path(folder)

    def train_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames in an order that changes with the epoch."""
        loader = self._loader("train")
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames of the validation split."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames of the test split."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: ActionBatch, dataloader_idx: int) -> ActionBatch:
        """Augment, on the device, in training alone: view ``current_epoch`` of each row, anew where one repeats."""
        if not (self.trainer and self.trainer.training) or "frames" not in batch:
            return batch
        seed, epoch = self._loading.seed, self.trainer.current_epoch
        draws = row_draws(DRAWS, seed, epoch, batch["index"], batch.get("repeat", 0))
        return {**batch, "frames": augment(batch["frames"], self._augmentation, draws)}

    def _loader(self, split: SplitName) -> ResumableLoader[ActionBatch]:
        """Batches for a run: train in an order that changes with the epoch, the others in that of their rows."""
        rows = self._frames.rows(split)
        training = split == "train"
        features = FeatureShards(self._features, split, len(rows)) if self._features is not None else None
        sampler = (
            BalancedSampler(rows.label, seed=self._loading.seed)
            if training and self._loading.class_balance == "sampler"
            else PaddedDistributedSampler(rows, shuffle=training, seed=self._loading.seed)
        )
        return ResumableLoader(
            ActionFrameDataset(rows, self._frames.store(), features),
            batch_size=self._loading.batch_size,
            sampler=sampler,
            drop_last=training and leaves_one(sampler, self._loading.batch_size),
            num_workers=self._loading.num_workers,
            collate_fn=only,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self._loading.num_workers > 0 and split != "test",
        )


def _viewed(settings: ActionAugmentation, seed: int, view: int, batches: list[ActionBatch]) -> ActionBatch:
    """Collate: a whole batch as one view shows it."""
    batch = only(batches)
    return {**batch, "frames": augment(batch["frames"], settings, row_draws(DRAWS, seed, view, batch["index"]))}
