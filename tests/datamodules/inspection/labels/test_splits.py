"""Splits by group: nothing leaks, and nothing but names and the seed decides."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.inspection.labels.records import RawImage, SplitName
from datamodules.inspection.labels.splits import assign_splits
from datamodules.inspection.settings import InspectionDataSettings


def images(groups: int, each: int = 2, split: SplitName | None = None, mask_class: str | None = None) -> list[RawImage]:
    return [
        RawImage(f"/{mask_class}/{g}/{n}", f"{g}-{n}", n % 2, "list", split, f"{mask_class}{g}", None, mask_class)
        for g in range(groups)
        for n in range(each)
    ]


@settings(deadline=None, max_examples=40)
@given(groups=st.integers(4, 40), seed=st.integers(0, 9), val=st.floats(0.05, 0.4), test=st.floats(0.05, 0.4))
def test_a_list_without_splits_is_cut_by_group(groups: int, seed: int, val: float, test: float) -> None:
    listed = images(groups)
    settings = InspectionDataSettings(val_fraction=val, test_fraction=test, split_seed=seed)
    splits = assign_splits(listed, settings)
    sides: dict[str | None, set[str]] = {}
    for image, split in zip(listed, splits, strict=True):
        sides.setdefault(image.group, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())
    counts = Counter(splits)
    assert counts["val"] == 2 * max(1, round(val * groups))
    assert counts["train"] >= 2
    backwards = assign_splits(listed[::-1], settings)
    assert splits == backwards[::-1]


def test_rare_classes_reach_validation() -> None:
    listed = images(40, mask_class="common") + images(3, mask_class="rare")
    splits = assign_splits(listed, InspectionDataSettings(val_fraction=0.1, test_fraction=0.0))
    found = Counter((image.mask_class, split) for image, split in zip(listed, splits, strict=True))
    assert found["common", "val"] == 8
    assert found["rare", "val"] == 2
    assert found["rare", "train"] == 4
    few = images(2, mask_class="rare")
    assert set(assign_splits(few, InspectionDataSettings(val_fraction=0.1, test_fraction=0.0))) == {"train"}


def test_a_list_that_names_no_val_gives_some_of_its_train() -> None:
    listed = images(20, split="train") + images(5, split="test", mask_class="x")
    splits = assign_splits(listed, InspectionDataSettings(val_fraction=0.2, test_fraction=0.3))
    assert Counter(splits) == {"train": 32, "val": 8, "test": 10}
    named = images(4, split="train") + images(2, split="val", mask_class="x")
    settings = InspectionDataSettings(val_fraction=0.5, test_fraction=0.3)
    assert assign_splits(named, settings) == [image.split for image in named]
