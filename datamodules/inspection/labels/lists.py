"""Which images each split holds: lists of two domains, answers of a store, a folder to mine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.labels.mentored import mentored_images
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.labels.sources import ImageSources, Split
from datamodules.inspection.labels.splits import check_paths

NewTraining = Literal["none", "mentored", "full"]
_HINTS: dict[Split, str] = {
    "train": "give labelled images of the original domain",
    "val": "name split val in the list, or raise val_fraction",
    "test": "name split test in the list, or raise test_fraction",
    "predict": "give path, a folder of images, or training images of the new domain",
}


@dataclass(frozen=True)
class NewDomain:
    """What is trained on from the new domain.

    Args:
        training: Nothing, images with answers alone, or images with complete labels.
        limit: Only so many of them; None takes all.
        seed: Seed of that choice.
        store: Feedback store with the answers.
        runs: Runs whose answers count; None takes all.
        maps: Folder of stored maps; None takes those of the runs.
        deployed: Checkpoint that the store must have been mined with; None takes any.

    Raises:
        ConfigurationError: If answers are wanted without a store, or the limit is below 1.
    """

    training: NewTraining = "none"
    limit: int | None = None
    seed: int = 0
    store: str | None = None
    runs: tuple[int, ...] | None = None
    maps: str | None = None
    deployed: str | None = None

    def __post_init__(self) -> None:
        if self.training == "mentored" and self.store is None:
            raise ConfigurationError("new_training is mentored but no store is given; name the feedback store")
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"new_limit is {self.limit}; it must be at least 1")


class ImageLists:
    """Images of each split, read when they are first asked for.

    Args:
        sources: Where labelled images come from.
        new: What is trained on from the new domain.
        demo: What the generated demo holds, where that is the data.
    """

    def __init__(self, sources: ImageSources, new: NewDomain, demo: InspectionDemoSettings) -> None:
        self.class_names = sources.class_names()
        self._sources = sources
        self._new = new
        self._demo = demo
        self._listed: list[LabelledImage] | None = None
        self._of_split: dict[Split, list[LabelledImage]] = {}

    def prepare(self) -> None:
        """Make the demo where it is the data."""
        if self._sources.is_demo:
            self._demo_folder()

    def images(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        """Images of a split, see ``InspectionDataModule.images``.

        Raises:
            LabelError: If a list is wrong, or an answered image is in the val or test split.
            ConfigurationError: If there is no image for this split.
        """
        if split not in self._of_split:
            images = self._collect(split)
            if not images:
                raise ConfigurationError(f"there is no image for {split}; {_HINTS[split]}")
            self._of_split[split] = images
        return [image for image in self._of_split[split] if domain in (None, image.domain)]

    def _collect(self, split: Split) -> list[LabelledImage]:
        if split == "predict":
            mined = self._sources.mined()
            return mined if mined is not None else self._listed_in("train", NEW)
        if split == "train":
            return self._labelled_in("train", ORIGINAL) + self._new_images()
        return self._labelled_in(split)

    def _new_images(self) -> list[LabelledImage]:
        if self._new.training == "none":
            return []
        new = self._answered() if self._new.training == "mentored" else self._labelled_in("train", NEW)
        if self._new.limit is None or self._new.limit >= len(new):
            return new
        chosen = np.random.default_rng((self._new.seed, len(new))).permutation(len(new))[: self._new.limit]
        return [new[row] for row in sorted(chosen)]

    def _answered(self) -> list[LabelledImage]:
        assert self._new.store is not None
        answered = mentored_images(
            self._new.store, self.class_names or (), self._new.runs, self._new.maps, self._new.deployed
        )
        check_paths([*self._listed_in("val"), *self._listed_in("test"), *answered])
        return answered

    def _labelled_in(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        return [image for image in self._listed_in(split, domain) if image.labelled]

    def _listed_in(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        """Images of the lists; they are read once."""
        if self._listed is None:
            folder = self._demo_folder() if self._sources.is_demo else None
            self._listed = self._sources.load(self.class_names or (), folder)
        return [image for image in self._listed if image.split == split and domain in (None, image.domain)]

    def _demo_folder(self) -> Path:
        from datamodules.inspection.demo.making import make_inspection_demo  # drawing is not needed elsewhere

        return make_inspection_demo(self._demo)
