"""Loaders of single frames, and the augmentation that belongs to their rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch
from datamodules.action.frames.augmentation import DRAWS, ActionAugmentation, augment
from datamodules.action.frames.balanced_sampler import BalancedSampler
from datamodules.action.frames.dataset import ActionFrameDataset, FeatureShards
from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import SplitName
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler, only
from datamodules.common.seeded_draws import row_draws


class FrameLoaders:
    """Makes the loaders of a data module; frames are read when one is first asked for.

    Attributes:
        features: Folder of cached features that take the place of the frames; None while there is none.
    """

    def __init__(self, frames: LabelledFrames, settings: ActionFrameSettings) -> None:
        self.features: Path | None = None
        self.augmentation = settings.augmentation or ActionAugmentation()
        self.settings = settings
        self._frames = frames

    def shuffled(self, split: SplitName) -> ResumableLoader[ActionBatch]:
        """Batches for a run: train in an order that changes with the epoch, the others in that of their rows."""
        rows = self._frames.rows(split)
        training = split == "train"
        features = FeatureShards(self.features, split, len(rows)) if self.features is not None else None
        sampler = (
            BalancedSampler(rows.label, seed=self.settings.seed)
            if training and self.settings.class_balance == "sampler"
            else PaddedDistributedSampler(rows, shuffle=training, seed=self.settings.seed)
        )
        return ResumableLoader(
            ActionFrameDataset(rows, self._frames.store(), features),
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.num_workers,
            collate_fn=only,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.settings.num_workers > 0 and split != "test",
        )

    def ordered(self, split: SplitName, view: int | None) -> DataLoader[ActionBatch]:
        """Batches of all frames of a split in the order of its rows, none where it is empty; see ``view``."""
        dataset = ActionFrameDataset(self._frames.splits()[split], self._frames.store())
        collate = only if view is None else partial(_viewed, self.augmentation, self.settings.seed, view)
        return DataLoader(dataset, self.settings.batch_size, num_workers=self.settings.num_workers, collate_fn=collate)

    def view(self, frames: Tensor, index: Tensor, view: int) -> Tensor:
        """Augment frames, a function of the seed, the number of the view and the rows."""
        return augment(frames, self.augmentation, row_draws(DRAWS, self.settings.seed, view, index))

    def augmented(self, batch: ActionBatch, epoch: int) -> ActionBatch:
        """A batch of frames as a training sees it: view ``epoch`` of each row.

        With balanced classes rows of a small one come several times an epoch, each time with another draw.
        """
        draws = row_draws(DRAWS, self.settings.seed, epoch, batch["index"], batch.get("repeat", 0))
        return {**batch, "frames": augment(batch["frames"], self.augmentation, draws)}


def _viewed(settings: ActionAugmentation, seed: int, view: int, batches: list[ActionBatch]) -> ActionBatch:
    """Collate: a whole batch as one view shows it."""
    batch = only(batches)
    return {**batch, "frames": augment(batch["frames"], settings, row_draws(DRAWS, seed, view, batch["index"]))}
