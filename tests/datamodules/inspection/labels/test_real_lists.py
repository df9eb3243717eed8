"""Magnetic tiles and DeepPCB as they were released: counts, and nothing that leaks between splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.labels.records import LabelledImage
from tests.tables import csv_rows

SPLITS = ("train", "val", "test")


def make(folder: Path, **options: Any) -> InspectionDataModule:
    return InspectionDataModule(
        root=str(folder),
        label_format=folder.name,
        new_training="full",
        batch_size=4,
        **options,  # type: ignore[arg-type]
    )


def rows(folder: Path) -> dict[str, dict[str, str]]:
    return {row["image"]: row for row in csv_rows(folder / "manifest.csv")}


def overlap(groups: Iterable[set[str]]) -> set[str]:
    counts = Counter(group for found in groups for group in found)
    return {group for group, count in counts.items() if count > 1}


def test_no_tile_is_in_two_splits(shared_dir: Path) -> None:
    folder = shared_dir / "data/inspection/magnetic_tile"
    listed = rows(folder)
    data = make(folder)
    found: dict[str, list[LabelledImage]] = {split: data.images(split) for split in SPLITS}  # type: ignore[arg-type]
    assert overlap({listed[image.name]["tile_group"] for image in images} for images in found.values()) == set()
    assert overlap({image.path for image in images} for images in found.values()) == set()
    assert {listed[image.name]["split"] for image in found["test"]} == {"val"}
    assert {listed[image.name]["split"] for image in found["train"] + found["val"]} == {"train"}
    for images in found.values():
        assert {image.domain for image in images} == {ORIGINAL, NEW}
        for image in images:
            assert listed[image.name]["exposure"] in ("12" if image.domain == ORIGINAL else "56")
    assert sum(map(len, found.values())) == 578
    assert {image.mask_values for image in found["val"] if image.domain == NEW} >= {0, 1, 2, 4}


def fingerprints(paths: list[str]) -> NDArray[np.float64]:
    """Pictures at one size without their local mean and contrast, as unit vectors."""
    found = []
    for path in paths:
        grey = Image.open(path).convert("L").resize((96, 96), Image.Resampling.BILINEAR)
        detail = np.asarray(grey, dtype=np.float64)
        detail = detail - gaussian_filter(detail, 4)
        detail = (detail / (np.sqrt(gaussian_filter(detail**2, 8)) + 1))[6:-6, 6:-6].ravel()
        detail -= detail.mean()
        found.append(detail / np.linalg.norm(detail))
    return np.stack(found)


@pytest.mark.slow
def test_no_tile_looks_like_one_of_another_split(shared_dir: Path) -> None:
    """Pictures of one tile in two groups reach 0.99; chance and texture stay below 0.6, whatever the seed."""
    folder = shared_dir / "data/inspection/magnetic_tile"
    known: dict[str, NDArray[np.float64]] = {}
    for seed in range(4):
        data = make(folder, split_seed=seed)
        images = {split: data.images(split) for split in SPLITS}  # type: ignore[arg-type]
        if not known:
            paths = [image.path for found in images.values() for image in found]
            known = dict(zip(paths, fingerprints(paths), strict=True))
        shown = {split: np.stack([known[image.path] for image in found]) for split, found in images.items()}
        for one, other in (("val", "train"), ("test", "train"), ("test", "val")):
            assert float((shown[one] @ shown[other].T).max()) < 0.6


def test_blocks_of_boards_and_their_twins(shared_dir: Path) -> None:
    folder = shared_dir / "data/inspection/deeppcb"
    listed = rows(folder)
    data = make(folder, box_fill=0.5)
    found: dict[str, list[LabelledImage]] = {split: data.images(split) for split in SPLITS}  # type: ignore[arg-type]
    pictures = {split: [image.name for image in images if image.name in listed] for split, images in found.items()}
    assert sum(map(len, pictures.values())) == 539
    for board in {row["board_group"] for row in listed.values()}:
        ids = {
            split: sorted(name for name in names if listed[name]["board_group"] == board)
            for split, names in pictures.items()
        }
        assert ids["test"] == sorted(
            name for name, row in listed.items() if row["board_group"] == board and row["split"] == "val"
        )
        assert ids["test"][-1] < ids["train"][0] <= ids["train"][-1] < ids["val"][0]  # contiguous blocks
    twins = [image for image in found["train"] if image.name not in listed]
    of_train = {row["template"] for name, row in listed.items() if name in pictures["train"] and row["template"]}
    assert {twin.name for twin in twins} == of_train
    assert all(twin.is_healthy and twin.domain == NEW and not twin.boxes for twin in twins)
    assert sum(len(image.boxes) for images in found.values() for image in images) == 3405
    assert not any(image.name not in listed for split in ("val", "test") for image in found[split])


@pytest.mark.parametrize(("name", "size"), [("magnetic_tile", 192), ("deeppcb", 320)])
def test_batches_of_real_pictures(shared_dir: Path, name: str, size: int) -> None:
    data = make(shared_dir / "data/inspection" / name, image_size=size, crop_size=128)
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, dict)
    assert batch["image"].shape == (4, 3, 128, 128)
    assert batch["domain"].tolist() == [0, 1, 0, 1]
    val = next(iter(data.val_dataloader()))
    assert isinstance(val, dict)
    assert val["image"].shape[-1] % 32 == 0
    assert int(val["size"].max()) == size
    assert len(data.box_sizes()) > 100
