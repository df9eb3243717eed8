"""The data module of faces and their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.counted_draws import row_draws
from datamodules.common.errors import ConfigurationError
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler
from datamodules.face_attributes.augmentation import DRAWS, FaceAugmentation, augment
from datamodules.face_attributes.batch import FaceBatch
from datamodules.face_attributes.dataset import FaceDataset, FaceSource, ListedFaces, whole
from datamodules.face_attributes.demo_faces import DemoFaces
from datamodules.faces.lists.people import joined, people_of, sketch_of
from datamodules.faces.lists.records import FaceList, LabelTable, SplitName
from datamodules.faces.lists.sources import FaceSources, LabelFormat, detect_format, pictures
from datamodules.faces.lists.splits import FaceSplitSettings, Trained, split_faces
from datamodules.faces.lists.values import warn_of_rare
from datamodules.faces.renderer.settings import LARGEST_SIDE, SMALLEST_SIDE, FaceDemoSettings
from datamodules.faces.schema import MISSING, AttributeSchema, normalised


class FaceAttributeDataModule(LightningDataModule):
    """Faces with the attributes that each shows, or lacks, or of which nothing is known.

    Without ``root``, ``labels`` and ``path`` the data is the generated demo, drawn while it is asked for. Batches
    follow ``FaceBatch``; every random draw comes from ``seed``, the epoch and the row, none from a global generator.
    A checkpoint keeps hashes of the people that were learnt from, so that a judge of faces can be told to be one.

    Args:
        root: Folder of the pictures; by default the folder of the list.
        labels: ``pubfig_attributes.txt``, ``lfw_attributes.txt``, ``list_attr_celeba.txt``, or a csv
            ``file[,identity][,split][,left,top,right,bottom]`` with a column for each attribute (1, 0, -1 or empty for
            missing; or real values, above 0 for present); by default the list of that name in ``root``.
        label_format: What they are; "auto" looks, and so does "list", which never takes the demo in place of a list.
            "images" takes bare pictures, of which nothing is said.
        boxes: Lists of face boxes: PubFig's ``dev_urls.txt`` and ``eval_urls.txt``, CelebA's ``list_bbox_celeba.txt``,
            or a csv ``file,left,top,right,bottom``, also for the pictures of ``path``. PubFig's are found beside its
            list ([] leaves them out). Without one the square in the middle of a picture is the face; LFW's own box is
            known.
        identities: A text of picture and person; CelebA's is found beside its list.
        partition: A text of picture (or person) and split; CelebA's is found beside its list.
        attribute_schema: The attributes and their heads: a YAML file, "pubfig", "celeba", or the same as a mapping. By
            default that of the list, else that of PubFig. In ``predict`` it is the checkpoint's.
        exclude_attributes: Attributes to leave out.
        path: Pictures or folders to predict; by default the test split, or the pictures of ``root``.
        image_size: Side in pixels of the square that faces are resized to.
        crop_margin: What is added to each side of a box, as a share of its longer side; 0 cuts the box alone.
        split: Shares of train, val and test, where a list names no splits.
        split_seed: Seed of that split.
        identity_disjoint: Keep all pictures of a person in one split.
        fit_on: "judge" trains on the people that are kept apart for judges, of the demo on other people.
        validate_on: "train" validates on the training faces, as the collection of statistics does.
        judge_share: Share of the training people that is kept apart for judges.
        missing_margin: Absolute value below which an attribute of a list of real values counts as missing.
        augmentation: What happens to training faces at random; None leaves them as they are.
        batch_size: Faces of a batch.
        num_workers: Worker processes of a loader; 0 works in the main process.
        seed: Seed of order and augmentation.
        demo: What the generated demo holds; None takes its defaults.

    Attributes:
        attribute_schema: The schema as plain values, without the attributes left out.
        image_size: Side in pixels of every picture.
        validate_on: Split of the validation.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    def __init__(
        self,
        root: str | None = None,
        labels: str | None = None,
        label_format: LabelFormat = "auto",
        boxes: str | list[str] | None = None,
        identities: str | None = None,
        partition: str | None = None,
        attribute_schema: dict[str, Any] | str | None = None,
        exclude_attributes: list[str] | None = None,
        path: str | list[str] | None = None,
        image_size: int = 224,
        crop_margin: float = 0.25,
        split: tuple[float, float, float] = (0.7, 0.15, 0.15),
        split_seed: int = 0,
        identity_disjoint: bool = True,
        fit_on: Trained = "train",
        validate_on: Literal["val", "train"] = "val",
        judge_share: float = 0.0,
        missing_margin: float = 0.0,
        augmentation: FaceAugmentation | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        demo: FaceDemoSettings | None = None,
    ) -> None:
        super().__init__()
        excluded = tuple(exclude_attributes or ())
        if path and root is None and labels is None:
            label_format = "auto"  # bare pictures need no list, even with a configuration that learns from one
        given = None if boxes is None else _texts(boxes)
        lists = FaceSources(root, labels, label_format, given, identities, partition, missing_margin, excluded)
        self._kind, sources = lists.resolved()
        self._schema = read_schema(attribute_schema, excluded, "celeba" if self._kind == "celeba" else None)
        self._sources = replace(sources, excluded=_left_out(excluded, attribute_schema, self._schema))
        self._splitting = FaceSplitSettings(split, identity_disjoint, judge_share, fit_on, split_seed)
        self._demo = demo or FaceDemoSettings()
        self._paths = list(_texts(path))
        _check(image_size, crop_margin, batch_size, num_workers, self._kind == "demo" and not self._paths)
        self._crop_margin = crop_margin
        self.validate_on: Literal["val", "train"] = validate_on
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._seed = seed
        self._lists: dict[SplitName, FaceList] | None = None
        self._learnt_from: SplitName | None = None
        self._people: Tensor | None = None
        self.attribute_schema: dict[str, Any] = self._schema.plain()
        self.image_size = image_size

    def setup(self, stage: str) -> None:
        """Read the lists, so that errors come before any work; in ``fit``, say which attributes are too rare."""
        if stage == "predict" and (self._paths or self._kind == "images"):
            return
        if stage == "fit":
            self._check_training(self.label_table("train"))
        learnt: dict[str, SplitName] = {"fit": "train", "validate": self.validate_on}
        self._learnt_from = learnt.get(stage)
        splits: dict[str, SplitName] = {"fit": self.validate_on, "validate": self.validate_on}
        self.faces(splits.get(stage, "test"))

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
        if self._kind == "demo":
            return DemoFaces(self._demo, split, self._schema, self.image_size, self._splitting.fit_on)
        faces = self._splits()[split]
        if not len(faces):
            raise ConfigurationError(
                f"the split {split} has no face; give more people, or other shares with split "
                f"(now {list(self._splitting.parts)})"
            )
        return ListedFaces(faces, self.image_size, self._crop_margin)

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
        if self._paths:
            boxes = next((file for file in self._sources.boxes or () if detect_format(file) == "csv"), None)
            found = pictures(self._paths, self._schema, boxes)
            return self._loader(ListedFaces(found, self.image_size, self._crop_margin))
        if self._kind == "images":
            return self._loader(ListedFaces(self._sources.load(self._schema), self.image_size, self._crop_margin))
        return self.test_dataloader()

    def on_after_batch_transfer(self, batch: FaceBatch, dataloader_idx: int) -> FaceBatch:
        """Augment, on the device, in training alone."""
        if self._augmentation is None or not (self.trainer and self.trainer.training):
            return batch
        draws = row_draws(DRAWS, self._seed, self.trainer.current_epoch, batch["index"])
        return {**batch, "image": augment(batch["image"], self._augmentation, draws)}

    def _check_training(self, table: LabelTable) -> None:
        if not (table.attributes != MISSING).any():
            raise ConfigurationError(
                f"nothing is said of the attributes of the {len(table.files)} training faces, so there is nothing to "
                "learn; name a list by labels, or use predict"
            )
        warn_of_rare(table.attributes.numpy(), self._schema)

    def _splits(self) -> dict[SplitName, FaceList]:
        if self._lists is None:
            faces = self._sources.load(self._schema)
            self._lists = split_faces(faces, self._splitting)
        return self._lists

    def _loader(self, source: FaceSource, shuffle: bool = False) -> ResumableLoader[FaceBatch]:
        return ResumableLoader(
            FaceDataset(source),
            batch_size=self._batch_size,
            sampler=PaddedDistributedSampler(len(source), shuffle=shuffle, seed=self._seed),
            num_workers=self._num_workers,
            collate_fn=whole,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self._num_workers > 0 and shuffle,
        )


def read_schema(
    given: Mapping[str, Any] | str | None, excluded: tuple[str, ...] = (), default: str | None = None
) -> AttributeSchema:
    """The schema that arguments name.

    Args:
        given: Plain values, or a file, or None.
        excluded: Attributes to leave out; plain values come from a checkpoint, and may lack them already.
        default: What None means.

    Raises:
        ConfigurationError: If it cannot be read, or an excluded attribute does not exist.
    """
    if isinstance(given, Mapping):
        schema = AttributeSchema.from_plain(given)
        gone = {normalised(name) for name in _shipped_names()} - {normalised(name) for name in schema.attributes}
        return schema.without([name for name in excluded if normalised(name) not in gone])
    return AttributeSchema.from_file(given if given is not None else default).without(excluded)


def _left_out(
    excluded: tuple[str, ...], given: Mapping[str, Any] | str | None, schema: AttributeSchema
) -> tuple[str, ...]:
    """Attributes whose columns are passed over; the schema of a checkpoint lacks some that its training left out."""
    if not isinstance(given, Mapping):
        return excluded
    return *excluded, *(name for name in _shipped_names() if name not in schema.attributes)


def _shipped_names() -> list[str]:
    """Attributes of the schemas that come with the package."""
    return [name for file in (None, "celeba") for name in AttributeSchema.from_file(file).attributes]


def _check(image_size: int, crop_margin: float, batch_size: int, num_workers: int, is_demo: bool) -> None:
    if batch_size < 1 or num_workers < 0:
        raise ConfigurationError(f"batch_size {batch_size} must be at least 1 and num_workers {num_workers} at least 0")
    if image_size < 8 or (is_demo and not SMALLEST_SIDE <= image_size <= LARGEST_SIDE):
        allowed = f"{SMALLEST_SIDE}..{LARGEST_SIDE} for the generated faces" if is_demo else "at least 8"
        raise ConfigurationError(f"image_size is {image_size}; it must be {allowed}")
    if not 0 <= crop_margin <= 2:
        raise ConfigurationError(f"crop_margin is {crop_margin}; it must lie in 0..2, a share of the box's side")


def _texts(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
