"""Data of your own: a folder of pictures for each class. Change what is found, how it is read, what a batch holds."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings, takes
from datamodules.images.finding import find_images
from datamodules.images.upright import read_picture

Split = Literal["train", "val", "test"]


class Sample(TypedDict):
    """A uint8 picture ``(3, S, S)``, RGB 0..255, and its class; loaders put them together to batches."""

    image: Tensor
    label: int


@settings
class OwnDataSettings:
    """Arguments of `OwnData`."""

    root: str | None = argument(default=None, help="Folder with a folder of pictures for each class; None: noise.")
    image_size: int = argument(default=64, help="Side in pixels that pictures are resized to.", low=1)
    batch_size: int = argument(default=8, help="Pictures of a batch.", low=1)
    num_workers: int = argument(default=0, help="Worker processes of a loader.", low=0)


class OwnData(LightningDataModule):
    """Pictures by class, a tenth each for validation and test, chosen by their names.

    A plain ``DataLoader`` is enough: Lightning splits it over the devices. ``class_names`` and ``image_size`` reach a
    model that has arguments of these names.
    """

    @takes(OwnDataSettings)
    def __init__(self, settings: OwnDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self.image_size = settings.image_size
        self.class_names = _classes(settings.root)

    def setup(self, stage: str) -> None:
        """Say what is there before anything is trained.

        Raises:
            ConfigurationError: If a class has no picture to train on.
        """
        if stage == "fit":
            found = {label for _, label in self.files("train")}
            missing = [name for label, name in enumerate(self.class_names) if label not in found]
            if missing:
                raise ConfigurationError(f"{self.settings.root} has no picture of {missing[0]} to train on: add some.")

    def files(self, split: Split) -> list[tuple[Path | None, int]]:
        """Pictures of a split with their classes; of noise, None in place of a path."""
        if self.settings.root is None:
            return [(None, row % len(self.class_names)) for row in range(32 if split == "train" else 8)]
        found: list[tuple[Path | None, int]] = []
        for label, name in enumerate(self.class_names):
            pictures = find_images(Path(self.settings.root, name))
            found += [(path, label) for path in pictures if _split_of(path) == split]
        return found

    def train_dataloader(self) -> DataLoader[Sample]:
        """Training pictures in another order each epoch."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation pictures."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Test pictures."""
        return self._loader("test")

    predict_dataloader = test_dataloader

    def _loader(self, split: Split, shuffle: bool = False) -> DataLoader[Sample]:
        own = self.settings
        pictures = Pictures(self.files(split), own.image_size)
        return DataLoader(pictures, own.batch_size, shuffle=shuffle, num_workers=own.num_workers)


class Pictures(Dataset[Sample]):
    """Pictures read one by one.

    Args:
        files: Paths and classes; a path of None is noise whose brightness tells the class.
        size: Side of the square that they are resized to.
    """

    unit = "pictures"  # what progress counts

    def __init__(self, files: list[tuple[Path | None, int]], size: int) -> None:
        self.files = files
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Sample:
        path, label = self.files[row]
        if path is None:
            noise = np.random.default_rng(row).integers(0, 128, (self.size, self.size, 3))
            pixels = (noise + 127 * (label % 2)).astype(np.uint8)
        else:
            pixels = np.array(read_picture(path).resize((self.size, self.size)))
        return {"image": torch.from_numpy(pixels).permute(2, 0, 1), "label": label}


def _classes(root: str | None) -> list[str]:
    if root is None:
        return ["dark", "bright"]
    folder = Path(root).expanduser()
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(names) < 2:
        raise ConfigurationError(f"root {root} holds {len(names)} folders, but each class needs one: name its parent.")
    return names


def _split_of(path: Path) -> Split:
    """Split of a picture: the same on every machine, whatever else the folder holds."""
    tenth = zlib.crc32(path.name.encode()) % 10
    return "val" if tenth == 0 else "test" if tenth == 1 else "train"
