"""Which images each split holds: lists of two domains, answers of a store, a folder to mine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.labels.mentored import mentored_images
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.labels.sources import ImageSources, Split
from datamodules.inspection.labels.splits import check_paths
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.summary.findings import Finding

_HINTS: dict[Split, str] = {
    "train": "give labelled images of the original domain",
    "val": "name split val in the list, or raise val_fraction",
    "test": "name split test in the list, or raise test_fraction",
    "predict": "give path, a folder of images, or training images of the new domain",
}


class ImageLists:
    """Images of each split, read when they are first asked for."""

    def __init__(self, settings: InspectionDataSettings) -> None:
        self._settings = settings
        self._sources = ImageSources(settings)
        self.class_names = self._sources.class_names()
        self._listed: list[LabelledImage] | None = None
        self._of_split: dict[Split, list[LabelledImage]] = {}

    def prepare(self) -> None:
        """Make the demo where it is the data."""
        if self._settings.is_demo:
            self._demo_folder()

    def images(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        """Images of a split, see ``InspectionDataModule.images``.

        Raises:
            LabelError: If a list is wrong, or an answered image is in the val or test split.
            ConfigurationError: If there is no image for this split.
        """
        if split not in self._of_split:
            images = self._collect(split)
            self._sources.findings.stop()
            if not images:
                raise ConfigurationError(f"there is no image for {split}; {_HINTS[split]}")
            self._of_split[split] = images
        return [image for image in self._of_split[split] if domain in (None, image.domain)]

    def known(self, split: Split) -> list[LabelledImage]:
        """Images of a split, as far as lists with faults tell; none where there is none.

        Raises:
            LabelError: If a list cannot be read at all.
        """
        return self._of_split.get(split) or self._collect(split)

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found in the lists that were read so far."""
        return self._sources.findings.found

    def _collect(self, split: Split) -> list[LabelledImage]:
        if split == "predict":
            mined = self._sources.mined()
            return mined if mined is not None else self._listed_in("train", NEW) or self._listed_in("test")
        if split == "train":
            return self._labelled_in("train", ORIGINAL) + self._new_images()
        return self._labelled_in(split)

    def _new_images(self) -> list[LabelledImage]:
        if self._settings.new_training == "none":
            return []
        new = self._answered() if self._settings.new_training == "mentored" else self._labelled_in("train", NEW)
        limit = self._settings.new_limit
        if limit is None or limit >= len(new):
            return new
        chosen = np.random.default_rng((self._settings.seed, len(new))).permutation(len(new))[:limit]
        return [new[row] for row in sorted(chosen)]

    def _answered(self) -> list[LabelledImage]:
        settings = self._settings
        assert settings.store is not None
        answered = mentored_images(
            settings.store, self.class_names or (), settings.store_runs, settings.baseline_maps, settings.deployed
        )
        check_paths([*self._listed_in("val"), *self._listed_in("test"), *answered])
        return answered

    def _labelled_in(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        return [image for image in self._listed_in(split, domain) if image.labelled]

    def _listed_in(self, split: Split, domain: int | None = None) -> list[LabelledImage]:
        """Images of the lists; they are read once."""
        if self._listed is None:
            folder = self._demo_folder() if self._settings.is_demo else None
            self._listed = self._sources.load(self.class_names or (), folder)
        return [image for image in self._listed if image.split == split and domain in (None, image.domain)]

    def _demo_folder(self) -> Path:
        from datamodules.inspection.demo.making import make_inspection_demo  # drawing is not needed elsewhere

        return make_inspection_demo(self._settings.demo or InspectionDemoSettings())
