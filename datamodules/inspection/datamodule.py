"""The data module of inspection."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler
from datamodules.common.settings import takes
from datamodules.common.splits import SPLITS_OF_STAGE
from datamodules.images.size import picture_size
from datamodules.images.unreadable import UnreadableFiles
from datamodules.images.whole import broken_picture
from datamodules.inspection.batch import InspectionBatch
from datamodules.inspection.batches.augmentation import augment
from datamodules.inspection.batches.dataset import InspectionDataset, InspectionItem, collate
from datamodules.inspection.batches.decoded import ImageCache, network_size
from datamodules.inspection.batches.domain_sampler import BalancedDomainSampler
from datamodules.inspection.contents import parts_summary
from datamodules.inspection.labels.images_by_split import ImageLists
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.labels.sources import Split
from datamodules.inspection.settings import AugmentationSettings, InspectionDataSettings
from datamodules.inspection.white import White, find_white
from datamodules.summary.checks import announce
from datamodules.summary.findings import OnError
from datamodules.summary.training_data import DataSummary


class InspectionDataModule(LightningDataModule):
    """Images of parts from two domains, with complete labels or with an operator's answers.

    Without lists, folders and ``path`` the data is the generated demo. Batches follow ``InspectionBatch``; every random
    draw comes from ``(seed, epoch, row)`` and none from a global generator. The samplers split the rows between
    processes themselves and are left alone by Lightning.

    Attributes:
        class_names: Names of the classes; None where only a folder to mine is given.
        white_level: Value of white in images of more than 8 bits; found when a training begins, kept by checkpoints.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
        LabelError: If the classes cannot be read from the lists; the rest of the lists is checked in ``setup``.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(InspectionDataSettings)
    def __init__(self, settings: InspectionDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self._lists = ImageLists(settings)
        self.class_names: list[str] | None = self._lists.class_names
        self._augmentation = settings.augmentation or AugmentationSettings()
        self.white_level = settings.white_level
        self._cache = ImageCache(settings.cache_megabytes / max(1, settings.num_workers))
        self._on_error: OnError = "raise"
        self._unreadable = UnreadableFiles()

    def prepare_data(self) -> None:
        """Make the demo once, before the processes of a run part."""
        self._lists.prepare()

    def setup(self, stage: str) -> None:
        """Read what a stage needs, so that errors come before any work; in ``fit``, say what the lists hold."""
        self._on_error = "skip" if stage != "fit" else self.settings.on_error
        if stage == "fit":
            announce(self.data_summary(), generated=self.settings.is_demo)
            self.white_level = self._white.level
        for split in SPLITS_OF_STAGE.get(stage, ()):
            self.images(split)

    def data_summary(self) -> DataSummary:
        """What is trained on, validated and tested with; faults are among its findings.

        Raises:
            LabelError: If a list cannot be read at all.
        """
        healthy = getattr(self.trainer and self.trainer.lightning_module, "learns_from_healthy", False)
        needed = not healthy and not self.settings.is_demo  # a small demo cannot show every class
        summary = parts_summary(self._lists, self.settings, needed=needed)
        return replace(summary, findings=[*summary.findings, *self._white.findings])

    @cached_property
    def _white(self) -> White:
        """White of the training images; the demo has 8 bits."""
        paths = [] if self.settings.is_demo else [image.path for image in self._lists.known("train")]
        return find_white(paths, self.white_level)

    def state_dict(self) -> dict[str, Any]:
        """White of the training images where they have more than 8 bits, for whatever looks at images later."""
        return {} if self.white_level is None else {"white_level": self.white_level}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the white that was trained with, and never guess anew.

        Raises:
            ConfigurationError: If another one is given.
        """
        stored, given = state_dict.get("white_level"), self.settings.white_level
        if None not in (stored, given) and stored != given:
            raise ConfigurationError(
                f"white_level is {given:g}, but the checkpoint was trained with {stored:g}; leave it out or train again"
            )
        if stored is not None:
            self.white_level = float(stored)
            self._cache.forget()

    def images(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        """Images of a split in the order of its batches' ``index``.

        Args:
            split: "train" holds what is trained on; "predict" the images of ``path``, else the training images of the
                new domain with the labels that the list knows.
            domain: Only this one; None gives both.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If there is no image for this split.
        """
        return self._lists.images(split, domain)

    def box_sizes(self) -> NDArray[np.float32]:
        """Width and height of the labelled training defects in pixels of the network's images, float32 ``(N, 2)``."""
        sizes = [np.zeros((0, 2), dtype=np.float32)]
        own, classes = self.settings, len(self.class_names or ())
        for image in self.images("train"):
            if image.labelled and (self._on_error == "raise" or broken_picture(image.path) is None):
                boxes = self._cache.decoded(image, classes, own.image_size, own.box_fill, self.white_level).boxes
                sizes.append(boxes[:, 2:] - boxes[:, :2])
        return np.concatenate(sizes)

    def data_fingerprint(self) -> str:
        """SHA-256 over the images to predict (names and sizes of the files), the classes and the image size.

        The store keeps it with a run. It holds no absolute path and no time, so that a moved copy has the same one.
        """
        digest = hashlib.sha256(f"{self.class_names}\0{self.settings.image_size}\0".encode())
        if self.white_level is not None:
            digest.update(f"white {self.white_level:g}\0".encode())
        for image in self.images("predict"):
            digest.update(f"{image.name}\0{Path(image.path).stat().st_size}\0".encode())
        return digest.hexdigest()

    def train_dataloader(self) -> DataLoader[InspectionItem]:
        """Original images and, unless ``new_training`` is none, as many new ones in each batch."""
        images = self.images("train")
        sampler = (
            BalancedDomainSampler([image.domain for image in images], seed=self.settings.seed)
            if self.settings.two_domains
            else PaddedDistributedSampler(images, shuffle=True, seed=self.settings.seed)
        )
        if self.settings.two_domains and len(sampler) < self.settings.batch_size:
            raise ConfigurationError(
                f"batch_size {self.settings.batch_size} is more than the {len(sampler)} samples of an epoch, "
                "half of each domain; lower it, or give more images"
            )
        loader = self._loader("train", sampler, self.settings.batch_size)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole validation images of both domains."""
        return self._loader("val", PaddedDistributedSampler(self.images("val")), self.settings.batch_size)

    def test_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole test images of both domains."""
        return self._loader("test", PaddedDistributedSampler(self.images("test")), self.settings.batch_size)

    def predict_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole images to predict, one at a time where their sizes differ or they are large."""
        images = self.images("predict")
        sizes = {size for size in map(self._network_size, images) if size is not None}
        together = len(sizes) == 1 and max(next(iter(sizes))) <= _LARGE
        return self._loader("predict", PaddedDistributedSampler(images), self.settings.batch_size if together else 1)

    def on_before_batch_transfer(self, batch: InspectionBatch, dataloader_idx: int) -> InspectionBatch:
        """Name each image that could not be read, once."""
        self._unreadable.name(batch.get("error", []))
        return batch

    def teardown(self, stage: str) -> None:
        """Count the images that could not be read."""
        self._unreadable.count(stage)

    def on_after_batch_transfer(self, batch: InspectionBatch, dataloader_idx: int) -> InspectionBatch:
        """Augment while training, on the device."""
        if self.trainer is None or not self.trainer.training:
            return batch
        return augment(batch, self._augmentation, self.settings.seed, self.trainer.current_epoch)

    def _loader(
        self, split: Split, sampler: PaddedDistributedSampler, batch_size: int
    ) -> ResumableLoader[InspectionItem]:
        training = split == "train"
        dataset = InspectionDataset(
            self.images(split),
            self.settings,
            len(self.class_names or ()),
            training=training,
            cache=self._cache,
            on_error="skip" if split == "predict" else self._on_error,
            white_level=self.white_level,
        )
        crop = self.settings.crop_size if training else None
        return ResumableLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.settings.num_workers,
            collate_fn=partial(collate, smallest=crop if crop is not None else 1),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.settings.num_workers > 0 and split in ("train", "val"),
            drop_last=training and len(sampler) >= batch_size,  # a short batch would break the halves
        )

    def _network_size(self, image: LabelledImage) -> tuple[int, int] | None:
        """Height and width that the network sees; None where the file cannot be read, which the dataset reports."""
        try:
            return network_size(picture_size(image.path)[::-1], self.settings.image_size)
        except LabelError:
            return None


_LARGE = 1024  # pixels of a side beyond which images are predicted one at a time: their features fill the memory
