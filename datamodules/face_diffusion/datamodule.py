"""The data module of pictures that a diffusion model learns from, and of the samples that it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError, LabelError, number_of
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler, only
from datamodules.common.settings import takes
from datamodules.common.splits import SplitName
from datamodules.face_diffusion.batch import DiffusionBatch, SampleBatch
from datamodules.face_diffusion.classes import UNKNOWN, class_names, class_weights, classes_of
from datamodules.face_diffusion.dataset import PictureDataset, Pictures, SampleDataset
from datamodules.face_diffusion.settings import DiffusionDataSettings
from datamodules.faces.dataset import ListedFaces
from datamodules.faces.demo import DemoFaces
from datamodules.faces.lists.records import SPLITS
from datamodules.faces.sources import FaceSources
from datamodules.summary.checks import absent_classes, announce, check_pictures
from datamodules.summary.findings import Findings
from datamodules.summary.training_data import DataSummary, SplitSummary


class FaceDiffusionDataModule(LightningDataModule):
    """A folder of pictures, with or without a list of what each shows, for a diffusion model.

    Without ``root``, ``labels`` and ``path`` the data is the generated demo: one set of drawn faces, the same in every
    epoch. Batches follow ``DiffusionBatch``; those of ``predict`` ``SampleBatch``.

    Attributes:
        image_size: Side in pixels of every picture.
        class_names: Classes that the model is told; None where it is told none.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(DiffusionDataSettings)
    def __init__(self, settings: DiffusionDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self._sources = FaceSources(settings, settings.demo)
        self._splits: dict[SplitName, PictureDataset] = {}
        self._done: frozenset[int] = frozenset()
        self.image_size = settings.image_size
        self.class_names = class_names(settings.classes) if settings.conditional and settings.classes else None

    def setup(self, stage: str) -> None:
        """Read lists and pictures, so that errors come before any work; in ``fit``, say what they hold."""
        if stage == "predict":
            return
        self._sources.on_error = "skip" if stage != "fit" else self.settings.on_error
        if stage == "fit":
            announce(self.data_summary(), generated=self._sources.kind == "demo")
        wanted: dict[str, list[SplitName]] = {"fit": ["train", "val"], "validate": ["val"], "test": ["test"]}
        for split in wanted.get(stage, []):
            self.pictures(split)

    def data_summary(self) -> DataSummary:
        """Pictures and classes of each split, without decoding one.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If there is no picture to train on.
        """
        findings, splits = Findings(self.settings.on_error), []
        for split in SPLITS:
            if split != "train" and self._sources.kind != "demo" and not len(self._sources.lists()[split]):
                continue
            rows = self._rows(split)
            labels = self._labels(split)[rows]
            counts = torch.bincount(labels[labels >= 0], minlength=len(self._names)).tolist()
            known = len(rows) if not self._names else int((labels >= 0).sum())
            splits.append(SplitSummary(split, len(rows), known, dict(zip(self._names, counts, strict=True))))
            source = self._sources.faces(split)
            if isinstance(source, ListedFaces) and split != "test":
                chosen = rows.tolist()
                check_pictures(
                    [source.faces.paths[row] for row in chosen], [source.faces.sources[row] for row in chosen], findings
                )
        asked = [] if self._sources.kind == "images" else self._names  # of bare pictures nothing is known
        remedy = "label some, or name classes that are shown"
        return DataSummary("pictures", splits, [*findings.found, *absent_classes(splits, asked, remedy, needed=False)])

    def _check_labels(self, split: SplitName, labels: Tensor) -> None:
        """Refuse pictures without a class where the model is told one.

        Raises:
            LabelError: If there are some.
        """
        unknown = int((labels == UNKNOWN).sum())
        if self.settings.conditional and unknown:
            raise LabelError(
                f"conditional tells the model the class of each picture, but of {unknown} of {len(labels)} pictures of "
                f"{split} it is not known which of {', '.join(self._names)} they show: label them, leave them out by "
                "classes_only, or leave conditional out"
            )

    @property
    def _names(self) -> list[str]:
        return class_names(self.settings.classes) if self.settings.classes else []

    def pictures(self, split: SplitName) -> PictureDataset:
        """The pictures of a split.

        Raises:
            ConfigurationError: If it is empty, or smaller than the subset.
            LabelError: If the model is told classes, and those of some pictures are not known.
        """
        if split not in self._splits:
            rows = self._rows(split)
            labels = self._labels(split)[rows]
            self._check_labels(split, labels)
            weights = torch.ones(len(rows))
            if self.settings.target is not None and split == "train":
                weights = class_weights(labels, self.settings.target)
            held = Pictures(self._source(split), rows, self.image_size)
            self._splits[split] = PictureDataset(
                held, labels, weights, self.settings.seed, split == "train", self.settings.flip
            )
        return self._splits[split]

    def training_pictures(self) -> Pictures:
        """The pictures of the subset, as rewards and measures look at them: those that may be copied."""
        if self.settings.learn_from == "subset":
            found = self.pictures("train").pictures
        else:
            found = Pictures(self._source("train"), self._subset(self._usable("train"))[0], self.image_size)
        return found if self._sources.on_error == "raise" else found.readable()

    def picture_files(self, split: SplitName) -> list[str]:
        """Files of the pictures of a split that are taken; none where they are drawn, or there are none."""
        if self._sources.kind == "demo" or not len(self._sources.lists()[split]):
            return []
        paths = self._sources.lists()[split].paths
        return [paths[row] for row in self._rows(split).tolist()] if split == "train" else list(paths)

    def train_dataloader(self) -> DataLoader[DiffusionBatch]:
        """Training pictures in an order that changes with the epoch."""
        loader = self._loader(self.pictures("train"), shuffle=True)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[DiffusionBatch]:
        """Held-out pictures."""
        return self._loader(self.pictures("val"))

    def test_dataloader(self) -> DataLoader[DiffusionBatch]:
        """Pictures of people that no training saw."""
        return self._loader(self.pictures("test"))

    def predict_dataloader(self) -> DataLoader[SampleBatch]:
        """Samples that the model is to make, without those that are done."""
        numbers = torch.tensor([n for n in range(self.settings.samples) if n not in self._done], dtype=torch.int64)
        return self._loader(SampleDataset(numbers, self.settings.sample_seed, self.sample_labels()))

    def exclude(self, done: Iterable[int]) -> None:
        """Leave out samples by their numbers: they are made."""
        self._done = frozenset(done)

    def sample_labels(self) -> Tensor:
        """Class that each sample is asked for, int64 ``(samples,)``; -1 for none.

        Raises:
            ConfigurationError: If the class is unknown.
        """
        number, wanted = self.settings.samples, self.settings.sample_class
        if self.class_names is None:  # the model may know some
            return torch.full((number,), UNKNOWN if wanted == "all" else wanted)
        if wanted == "all":
            return torch.arange(number) % len(self.class_names)
        if not 0 <= wanted < len(self.class_names):
            raise ConfigurationError(
                f"sample_class is {wanted}; the classes are 0..{len(self.class_names) - 1} "
                f"({', '.join(self.class_names)}), or all"
            )
        return torch.full((number,), wanted)

    def _source(self, split: SplitName) -> DemoFaces | ListedFaces:
        source = self._sources.faces(split)
        if isinstance(source, DemoFaces):
            return source.still()
        assert isinstance(source, ListedFaces)  # the other kind of source
        return source

    def _rows(self, split: SplitName) -> Tensor:
        """Rows of a split that are taken."""
        rows = self._usable(split)
        if split != "train" or self.settings.subset is None:
            return rows
        chosen, rest = self._subset(rows)
        if self.settings.learn_from == "rest" and not len(rest):
            raise ConfigurationError(
                f"subset takes all {len(rows)} training pictures, so that learn_from rest has none"
            )
        return chosen if self.settings.learn_from == "subset" else rest

    def _usable(self, split: SplitName) -> Tensor:
        """Rows of a split that a training may take."""
        rows = torch.arange(len(self._sources.faces(split)))
        if self.settings.classes_only:
            rows = rows[self._labels(split) != UNKNOWN]
        if not len(rows):
            raise ConfigurationError(
                f"not one picture of {split} shows {' or '.join(self._names)}: name other classes, or leave "
                "classes_only out"
            )
        return rows

    def _subset(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the subset, and the others, each in order."""
        subset, total = self.settings.subset, len(rows)
        if subset is None:
            return rows, rows[:0]
        if subset > total:
            raise ConfigurationError(
                f"subset is {subset}, but the training has {number_of(total, 'picture')}: take at most so many, or "
                "give it a larger share with split"
            )
        drawn = torch.randperm(total, generator=torch.Generator().manual_seed(self.settings.subset_seed))
        return rows[drawn[:subset].sort().values], rows[drawn[subset:].sort().values]

    def _labels(self, split: SplitName) -> Tensor:
        """Class of every row of a split."""
        if not self.settings.classes:
            return torch.full((len(self._sources.faces(split)),), UNKNOWN)
        return classes_of(self._source(split).table().attributes, self._sources.schema, self.settings.classes)

    def _loader(self, dataset: PictureDataset | SampleDataset, shuffle: bool = False) -> ResumableLoader[Any]:
        sampler = PaddedDistributedSampler(len(dataset), shuffle=shuffle, seed=self.settings.seed)
        return ResumableLoader(
            dataset,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.num_workers,
            collate_fn=only,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.settings.num_workers > 0 and shuffle,
        )
