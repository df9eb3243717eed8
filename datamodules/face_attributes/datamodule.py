"""The data module of faces and their attributes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError
from datamodules.common.resuming import ResumableLoader, leaves_one
from datamodules.common.sampler import PaddedDistributedSampler, only
from datamodules.common.seeded_draws import row_draws
from datamodules.common.settings import takes
from datamodules.face_attributes.augmentation import DRAWS, augment
from datamodules.face_attributes.batch import FaceBatch
from datamodules.face_attributes.settings import FaceDataSettings
from datamodules.faces.contents import attribute_summary
from datamodules.faces.dataset import FaceDataset, FaceSource, ListedFaces
from datamodules.faces.demo import DemoFaces
from datamodules.faces.lists.people import joined, people_of, sketch_of
from datamodules.faces.lists.records import SPLITS, LabelTable, SplitName
from datamodules.faces.lists.values import warn_of_rare
from datamodules.faces.schema import MISSING
from datamodules.faces.sources import FaceSources
from datamodules.images.unreadable import UnreadableFiles
from datamodules.summary.checks import announce, check_pictures
from datamodules.summary.findings import Findings
from datamodules.summary.training_data import DataSummary


class FaceAttributeDataModule(LightningDataModule):
    """Faces with the attributes that each shows, or lacks, or of which nothing is known.

    Without ``root``, ``labels`` and ``path`` the data is the generated demo, drawn while it is asked for. Batches
    follow ``FaceBatch``; every random draw comes from ``seed``, the epoch and the row, none from a global generator.
    A checkpoint keeps hashes of the people that were learnt from, so that a judge of faces can be told to be one.

    Attributes:
        attribute_schema: The schema as plain values, without the attributes left out.
        image_size: Side in pixels of every picture.
        validate_on: Split of the validation.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(FaceDataSettings)
    def __init__(self, settings: FaceDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self._sources = FaceSources(settings, settings.demo)
        self._schema = self._sources.schema
        self._learnt_from: SplitName | None = None
        self._people: Tensor | None = None
        self._unreadable = UnreadableFiles()
        self.attribute_schema: dict[str, Any] = self._schema.plain()
        self.image_size = settings.image_size
        self.validate_on = settings.validate_on

    def setup(self, stage: str) -> None:
        """Read the lists, so that errors come before any work; in ``fit``, say which attributes are too rare."""
        self._sources.on_error = "skip" if stage != "fit" else self.settings.on_error
        if stage == "predict" and (self._sources.paths or self._sources.kind == "images"):
            return
        if stage == "fit":
            table = self.label_table("train")
            self._check_training(table)
            announce(self.data_summary(), generated=self._sources.kind == "demo")
            warn_of_rare(table.attributes.numpy(), self._schema)
        learnt: dict[str, SplitName] = {"fit": "train", "validate": self.validate_on}
        self._learnt_from = learnt.get(stage)
        splits: dict[str, SplitName] = {"fit": self.validate_on, "validate": self.validate_on}
        self.faces(splits.get(stage, "test"))

    def data_summary(self) -> DataSummary:
        """Faces, people and how often each attribute is shown in each split, without decoding a picture.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If there is no face to train on.
        """
        found = attribute_summary({split: self._table(split) for split in SPLITS}, self._schema)
        if self._sources.kind == "demo":  # a small one cannot show every attribute
            seen = [one._replace(status="warning") if one.status == "fault" else one for one in found.findings]
            return replace(found, findings=seen)
        pictures = Findings(self.settings.on_error)
        learnt: dict[SplitName, None] = dict.fromkeys(("train", self.validate_on))
        for split in learnt:
            faces = self.faces(split) if self._table(split) is not None else None
            if isinstance(faces, ListedFaces):
                check_pictures(faces.faces.paths, faces.faces.sources, pictures)
        return replace(found, findings=[*found.findings, *pictures.found])

    def _table(self, split: SplitName) -> LabelTable | None:
        """Labels of a split; None where it is empty, which is an error of training alone."""
        if split != "train" and self._sources.kind != "demo" and not len(self._sources.lists()[split]):
            return None
        return self.label_table(split)

    def state_dict(self) -> dict[str, Any]:
        """``people``: a sketch of those that a training, or a collection of statistics, learns from."""
        if self._learnt_from is not None:
            own = sketch_of(self.people(self._learnt_from))
            self._people = own if self._people is None else joined(self._people, own)
            self._learnt_from = None
        return {} if self._people is None else {"people": self._people}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the people that the training learnt from before it was resumed."""
        self._people = state_dict.get("people")

    def people(self, split: SplitName) -> list[str]:
        """Who is on each picture of a split, see ``people_of``.

        Raises:
            ConfigurationError: If the split is empty.
        """
        return people_of(self.label_table(split))

    def label_table(self, split: SplitName) -> LabelTable:
        """Labels of a split in the order of its rows, read or drawn without a picture.

        Raises:
            ConfigurationError: If the split is empty.
        """
        return self.faces(split).table()

    def faces(self, split: SplitName) -> FaceSource:
        """The faces of a split.

        Raises:
            ConfigurationError: If it is empty.
        """
        return self._sources.faces(split)

    def train_dataloader(self) -> DataLoader[FaceBatch]:
        """Training faces in an order that changes with the epoch."""
        loader = self._loader(self.faces("train"), shuffle=True)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[FaceBatch]:
        """Validation faces; with ``validate_on`` train the training faces, in order and never augmented."""
        faces = self.faces(self.validate_on)
        return self._loader(faces.still() if isinstance(faces, DemoFaces) else faces)

    def test_dataloader(self) -> DataLoader[FaceBatch]:
        """Faces of people that no training saw."""
        return self._loader(self.faces("test"))

    def predict_dataloader(self) -> DataLoader[FaceBatch]:
        """The pictures of ``path``; else the test split; of bare pictures all."""
        return self._loader(self._sources.to_predict())

    def on_before_batch_transfer(self, batch: FaceBatch, dataloader_idx: int) -> FaceBatch:
        """Name each picture that could not be read, once."""
        self._unreadable.name(batch.get("error", []))
        return batch

    def teardown(self, stage: str) -> None:
        """Count the pictures that could not be read."""
        self._unreadable.count(stage)

    def on_after_batch_transfer(self, batch: FaceBatch, dataloader_idx: int) -> FaceBatch:
        """Augment, on the device, in training alone."""
        if self.settings.augmentation is None or not (self.trainer and self.trainer.training):
            return batch
        draws = row_draws(DRAWS, self.settings.seed, self.trainer.current_epoch, batch["index"])
        return {**batch, "image": augment(batch["image"], self.settings.augmentation, draws)}

    def _check_training(self, table: LabelTable) -> None:
        if not (table.attributes != MISSING).any():
            raise ConfigurationError(
                f"nothing is said of the attributes of the {len(table.files)} training faces, so there is nothing to "
                "learn; name a list by labels, or use predict"
            )

    def _loader(self, source: FaceSource, shuffle: bool = False) -> ResumableLoader[FaceBatch]:
        sampler = PaddedDistributedSampler(len(source), shuffle=shuffle, seed=self.settings.seed)
        return ResumableLoader(
            FaceDataset(source),
            batch_size=self.settings.batch_size,
            sampler=sampler,
            drop_last=shuffle and leaves_one(sampler, self.settings.batch_size),
            num_workers=self.settings.num_workers,
            collate_fn=only,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.settings.num_workers > 0 and shuffle,
        )
