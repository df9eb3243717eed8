"""The data module of inspection."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler
from datamodules.images.size import picture_size
from datamodules.inspection.batch import InspectionBatch
from datamodules.inspection.batches.augmentation import augment
from datamodules.inspection.batches.dataset import ImageSettings, InspectionDataset, InspectionItem, collate
from datamodules.inspection.batches.decoded import ImageCache, decode, network_size
from datamodules.inspection.batches.domain_sampler import BalancedDomainSampler
from datamodules.inspection.batches.settings import AugmentationSettings
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.labels.lists import ImageLists, NewDomain, NewTraining
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.labels.sources import ImageSources, LabelFormat, Split
from datamodules.inspection.labels.splits import SplitSettings


class InspectionDataModule(LightningDataModule):
    """Images of parts from two domains, with complete labels or with an operator's answers.

    Without lists, folders and ``path`` the data is the generated demo. Batches follow ``InspectionBatch``; every random
    draw comes from ``(seed, epoch, row)`` and none from a global generator. The samplers split the rows between
    processes themselves and are left alone by Lightning.

    Args:
        root: Folder of the images of the original domain (or of both, where the list tells the domain); by default the
            folder of the list.
        label_format: What root or labels are; never guessed.
        labels: List of the images: a manifest, or a COCO file (or a folder of train.json, val.json, test.json).
        new_root: Folder of the new domain's images, where it is apart.
        new_labels: List of the new domain's images, where it is apart.
        classes: Names of the classes in their order; None takes classes.txt, else the names that the labels write.
        path: Images to predict: a folder, searched with its sub-folders, or one file; None predicts the training images
            of the new domain (the pool to mine).
        store: Feedback store with the operator's answers.
        deployed: Checkpoint with which the store must have been mined; None takes the answers to any model.
        store_runs: Runs of the store whose answers count; None takes all.
        new_training: What is trained on from the new domain: nothing, the answers, or the complete labels.
        new_limit: Only so many new training images, chosen by the seed; None takes all.
        balanced: Half of each batch from each domain; False draws from both as they come.
        val_fraction: Part of the groups that validates where the list does not say.
        test_fraction: Part of the groups that tests where the list does not say.
        split_seed: Seed of that split.
        image_size: Pixels of the longer side of every image, the aspect kept; None keeps the size of the files.
        crop_size: Side in pixels of the training crops, half of them placed on a defect or answer; None trains on whole
            images.
        box_fill: Share of a labelled box's sides that becomes class in the mask; the frame around it is unknown.
        augmentation: What happens to training images at random; None takes flips alone.
        baseline_maps: Folder of the maps that OMNIA needs; None takes those of the store's runs.
        batch_size: Images of a batch, of both domains together; even where batches are balanced.
        num_workers: Worker processes of a loader; 0 decodes in the main process.
        seed: Seed of order, crops and augmentation.
        cache_megabytes: Memory for decoded images, over all worker processes of a loader.
        demo: What the generated demo holds; None takes its defaults.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
        LabelError: If the classes cannot be read from the lists; the rest of the lists is checked in ``setup``.
    """

    def __init__(
        self,
        root: str | None = None,
        label_format: LabelFormat | None = None,
        labels: str | None = None,
        new_root: str | None = None,
        new_labels: str | None = None,
        classes: list[str] | None = None,
        path: str | None = None,
        store: str | None = None,
        deployed: str | None = None,
        store_runs: list[int] | None = None,
        new_training: NewTraining = "none",
        new_limit: int | None = None,
        balanced: bool = True,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        image_size: int | None = None,
        crop_size: int | None = None,
        box_fill: float = 1.0,
        augmentation: AugmentationSettings | None = None,
        baseline_maps: str | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        cache_megabytes: float = 512.0,
        demo: InspectionDemoSettings | None = None,
    ) -> None:
        super().__init__()
        _check_numbers(
            batch_size=(batch_size, 1),
            num_workers=(num_workers, 0),
            image_size=(image_size, 8),
            crop_size=(crop_size, 8),
            cache_megabytes=(cache_megabytes, 0),
        )
        if not 0 < box_fill <= 1:
            raise ConfigurationError(f"box_fill is {box_fill}; it must lie in 0 < f <= 1")
        if balanced and new_training != "none" and batch_size % 2:
            raise ConfigurationError(f"batch_size {batch_size} must be even: balanced batches hold half of each domain")
        split = SplitSettings(val_fraction, test_fraction, split_seed)
        named = None if classes is None else tuple(classes)
        runs = None if store_runs is None else tuple(store_runs)
        self._lists = ImageLists(
            ImageSources(root, label_format, labels, new_root, new_labels, path, named, split),
            NewDomain(new_training, new_limit, seed, store, runs, baseline_maps, deployed),
            demo if demo is not None else InspectionDemoSettings(),
        )
        self.class_names: list[str] | None = self._lists.class_names
        self._settings = ImageSettings(len(self.class_names or ()), image_size, crop_size, box_fill, seed)
        self._augmentation = augmentation if augmentation is not None else AugmentationSettings()
        self._cache = ImageCache(cache_megabytes / max(1, num_workers))
        self._two_domains = balanced and new_training != "none"
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._seed = seed

    def prepare_data(self) -> None:
        """Make the demo once, before the processes of a run part."""
        self._lists.prepare()

    def setup(self, stage: str) -> None:
        """Read the lists and what a stage needs, so that errors come before any work."""
        for split in _SPLITS_OF_STAGE.get(stage, ()):
            self.images(split)

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
        for image in self.images("train"):
            if image.labelled:
                boxes = self._decoded_boxes(image)
                sizes.append(boxes[:, 2:] - boxes[:, :2])
        return np.concatenate(sizes)

    def data_fingerprint(self) -> str:
        """SHA-256 over the images to predict (names and sizes of the files), the classes and the image size.

        The store keeps it with a run. It holds no absolute path and no time, so that a moved copy has the same one.
        """
        digest = hashlib.sha256(f"{self.class_names}\0{self._settings.image_size}\0".encode())
        for image in self.images("predict"):
            digest.update(f"{image.name}\0{Path(image.path).stat().st_size}\0".encode())
        return digest.hexdigest()

    def train_dataloader(self) -> DataLoader[InspectionItem]:
        """Original images and, unless ``new_training`` is none, as many new ones in each batch."""
        images = self.images("train")
        sampler = (
            BalancedDomainSampler([image.domain for image in images], seed=self._seed)
            if self._two_domains
            else PaddedDistributedSampler(images, shuffle=True, seed=self._seed)
        )
        if self._two_domains and len(sampler) < self._batch_size:
            raise ConfigurationError(
                f"batch_size {self._batch_size} is more than the {len(sampler)} samples of an epoch, half of each "
                "domain; lower it, or give more images"
            )
        loader = self._loader("train", sampler, self._batch_size)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole validation images of both domains."""
        return self._loader("val", PaddedDistributedSampler(self.images("val")), self._batch_size)

    def test_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole test images of both domains."""
        return self._loader("test", PaddedDistributedSampler(self.images("test")), self._batch_size)

    def predict_dataloader(self) -> DataLoader[InspectionItem]:
        """Whole images to predict, one at a time where their sizes differ or they are large."""
        images = self.images("predict")
        sizes = {size for size in map(self._network_size, images) if size is not None}
        together = len(sizes) == 1 and max(next(iter(sizes))) <= _LARGE
        return self._loader("predict", PaddedDistributedSampler(images), self._batch_size if together else 1)

    def on_after_batch_transfer(self, batch: InspectionBatch, dataloader_idx: int) -> InspectionBatch:
        """Augment while training, on the device."""
        if self.trainer is None or not self.trainer.training:
            return batch
        return augment(batch, self._augmentation, self._seed, self.trainer.current_epoch)

    def _loader(
        self, split: Split, sampler: PaddedDistributedSampler, batch_size: int
    ) -> ResumableLoader[InspectionItem]:
        training = split == "train"
        dataset = InspectionDataset(
            self.images(split),
            self._settings,
            training=training,
            cache=self._cache,
            on_error="report" if split == "predict" else "raise",
        )
        crop = self._settings.crop_size if training else None
        return ResumableLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self._num_workers,
            collate_fn=partial(collate, smallest=crop if crop is not None else 1),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self._num_workers > 0 and split in ("train", "val"),
            drop_last=training and len(sampler) >= batch_size,  # a short batch would break the halves
        )

    def _network_size(self, image: LabelledImage) -> tuple[int, int] | None:
        """Height and width that the network sees; None where the file cannot be read, which the dataset reports."""
        try:
            return network_size(picture_size(image.path)[::-1], self._settings.image_size)
        except LabelError:
            return None

    def _decoded_boxes(self, image: LabelledImage) -> NDArray[np.float32]:
        kept = self._cache.get(image)
        if kept is None:
            kept = decode(image, self._settings.num_classes, self._settings.image_size, self._settings.box_fill)
            self._cache.put(image, kept)
        return kept.boxes


_SPLITS_OF_STAGE: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("predict",),
}
_LARGE = 1024  # pixels of a side beyond which images are predicted one at a time: their features fill the memory


def _check_numbers(**limits: tuple[float | None, int]) -> None:
    """Raise unless each value is None or at least its limit."""
    for name, (value, least) in limits.items():
        if value is not None and value < least:
            raise ConfigurationError(f"{name} is {value}; it must be at least {least}")
