"""The half of the action data module that is learned from: single labelled frames, or their cached features."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch
from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.loaders import FrameLoaders
from datamodules.action.frames.rows import FrameRows
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import SplitName


class FrameDataModule(LightningDataModule):
    """Loaders of labelled frames, and what a cache of their features asks for."""

    def __init__(self, settings: ActionFrameSettings) -> None:
        super().__init__()
        self._frames = LabelledFrames(settings)
        self._loaders = FrameLoaders(self._frames, settings)

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
        return {"seed": self._loaders.settings.seed, "draws": "counted", **asdict(self._loaders.augmentation)}

    def frame_batches(self, split: SplitName, view: int | None = None) -> DataLoader[ActionBatch]:
        """Batches of all frames of a split in the order of its rows, on the CPU; none where it is empty.

        Args:
            split: The split.
            view: Number of the augmentation, see ``augment_view``; None leaves the frames as they are.
        """
        return self._loaders.ordered(split, view)

    def augment_view(self, frames: Tensor, index: Tensor, view: int) -> Tensor:
        """Augment frames as epoch ``view`` of a training sees them, a function of the seed, the view and the rows.

        Args:
            frames: uint8 ``(B, 3, S, S)`` on any device.
            index: Their rows in the training split, int64 ``(B,)``.
            view: Number of the view, from 0.

        Returns:
            uint8 ``(B, 3, S, S)``.
        """
        return self._loaders.view(frames, index, view)

    def use_features(self, folder: str | Path) -> None:
        """From now on batches of train, val and test hold cached features in place of frames.

        Args:
            folder: Holds ``<split>.view<k>.safetensors`` with ``features`` ``(N, F)`` in the order of the split's rows;
                epoch e reads view e modulo their number.
        """
        self._loaders.features = Path(folder)

    def train_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames in an order that changes with the epoch."""
        loader = self._loaders.shuffled("train")
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames of the validation split."""
        return self._loaders.shuffled("val")

    def test_dataloader(self) -> DataLoader[ActionBatch]:
        """Frames of the test split."""
        return self._loaders.shuffled("test")

    def on_after_batch_transfer(self, batch: ActionBatch, dataloader_idx: int) -> ActionBatch:
        """Augment, on the device, in training alone."""
        if not (self.trainer and self.trainer.training) or "frames" not in batch:
            return batch
        return self._loaders.augmented(batch, self.trainer.current_epoch)
