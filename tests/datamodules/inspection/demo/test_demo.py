"""The generated parts: all classes in both set-ups, exact masks, two lines that differ, made once and safely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.inspection.demo.defects import EDGE_CLASSES, draw_defect
from datamodules.inspection.demo.lookalikes import LOOKALIKES, draw_lookalike
from datamodules.inspection.demo.making import inspection_demo_folder, make_inspection_demo
from datamodules.inspection.demo.parts import draw_part
from datamodules.inspection.demo.settings import DEFECT_CLASSES, InspectionDemoSettings
from datamodules.inspection.demo.surface import NEW_SETUP, ORIGINAL_SETUP, Setup, Surface, blank_part, photograph
from tests.tables import csv_rows

SETUPS = pytest.mark.parametrize("setup", [ORIGINAL_SETUP, NEW_SETUP], ids=["original", "new"])


def small(folder: Path, **changes: object) -> InspectionDemoSettings:
    counts = {"original_train": 13, "new_train": 13, "original_val": 2, "new_val": 3, "original_test": 4, "new_test": 5}
    return InspectionDemoSettings(**{**counts, "size": 64, "cache_dir": str(folder), **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inspection_demo(small(tmp_path_factory.mktemp("cache")))


def pair(
    setup: Setup, name: str, seed: int, *, size: int = 128
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Surface]:
    """The same part without and with one defect or harmless structure in its middle."""
    pictures, surface = [], None
    for drawn in (False, True):
        surface = blank_part(np.random.default_rng(seed), setup, size, edge=name in EDGE_CLASSES)
        x = y = size / 2
        if surface.outward is not None:
            depth = float(surface.depth[size // 2, size // 2])
            x, y = x + depth * surface.outward[0], y + depth * surface.outward[1]
        generator = np.random.default_rng(seed + 1)
        if drawn and name in LOOKALIKES:
            draw_lookalike(generator, surface, name, (x, y), 0.6)
        elif drawn:
            draw_defect(generator, surface, name, (x, y), 0.6)
        pictures.append(photograph(np.random.default_rng(seed + 2), setup, surface))
    assert surface is not None
    return pictures[0], pictures[1], surface


@SETUPS
@pytest.mark.parametrize("name", DEFECT_CLASSES)
def test_a_defect_shows_where_its_mask_says(name: str, setup: Setup) -> None:
    clean, spoilt, surface = pair(setup, name, 40)
    marked = surface.mask > 0
    assert set(np.unique(surface.mask)) == {0, DEFECT_CLASSES.index(name) + 1}
    assert 12 < marked.sum() < 0.12 * marked.size
    change = np.abs(spoilt.astype(int) - clean).max(axis=2)
    assert change[marked].mean() > 8, "too weak to see"
    rows, columns = np.nonzero(change > 12)
    reached = np.zeros_like(marked)
    reached[np.clip(rows, 0, 127), np.clip(columns, 0, 127)] = True
    from scipy.ndimage import binary_dilation

    assert (reached & binary_dilation(marked, iterations=5)).sum() > 0.9 * reached.sum(), "the mask misses a part"


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_lookalike_shows_and_is_not_marked(name: str) -> None:
    clean, other, surface = pair(NEW_SETUP, name, 7)
    assert not surface.mask.any()
    assert int(np.abs(other.astype(int) - clean).max()) > 10


@SETUPS
def test_other_sizes(setup: Setup) -> None:
    for name in DEFECT_CLASSES:
        _, spoilt, surface = pair(setup, name, 3, size=96)
        assert spoilt.shape == (96, 96, 3)
        assert surface.mask.any()


def test_a_defect_of_the_edge_needs_one() -> None:
    surface = blank_part(np.random.default_rng(0), ORIGINAL_SETUP, 64, edge=False)
    with pytest.raises(ValueError, match="edge"):
        draw_defect(np.random.default_rng(0), surface, "burr", (32, 32), 1.0)


def test_manifest(folder: Path) -> None:
    rows = csv_rows(folder / "manifest.csv")
    assert list(rows[0]) == ["image", "mask", "domain", "split", "group", "healthy"]
    kinds = [(row["domain"], row["split"]) for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("original", "train"): 13,
        ("new", "train"): 13,
        ("original", "val"): 2,
        ("new", "val"): 3,
        ("original", "test"): 4,
        ("new", "test"): 5,
    }
    assert len({row["group"] for row in rows}) == len(rows)
    assert (folder / "classes.txt").read_text().split() == list(DEFECT_CLASSES)
    assert len(DEFECT_CLASSES) == len(set(DEFECT_CLASSES)) == 13
    for row in rows:
        with Image.open(folder / row["image"]) as image, Image.open(folder / row["mask"]) as mask:
            assert (image.mode, mask.mode) == ("RGB", "L")
            assert image.size == mask.size == (64, 64)
            assert (row["healthy"] == "1") == (not np.asarray(mask).any())


def test_every_class_occurs_in_each_split_of_13() -> None:
    settings = InspectionDemoSettings(healthy_share=0.0)
    for domain in ("original", "new"):
        values = {int(value) for i in range(13) for value in np.unique(draw_part(settings, domain, "test", i).mask)}
        assert values == set(range(14))


def test_healthy_parts_and_their_flags() -> None:
    settings = InspectionDemoSettings(size=64, healthy_share=0.5, flagged_share=0.5)
    parts = [draw_part(settings, "new", "train", number) for number in range(60)]
    healthy = [part for part in parts if not part.mask.any()]
    assert 18 < len(healthy) < 42
    assert 0.2 < np.mean([part.flagged for part in healthy]) < 0.8
    assert not any(part.flagged for part in parts if part.mask.any())


def test_lookalikes_are_on_the_new_line_alone() -> None:
    plain, busy = (InspectionDemoSettings(size=64, healthy_share=1, lookalike_share_eval=share) for share in (0, 1))
    for number in range(3):
        old = [draw_part(settings, "original", "test", number).image for settings in (plain, busy)]
        assert np.array_equal(*old)
        new = [draw_part(settings, "new", "test", number).image for settings in (plain, busy)]
        assert not np.array_equal(*new)


def test_the_lines_differ() -> None:
    settings = InspectionDemoSettings(healthy_share=1, lookalike_share_eval=0)
    old, new = (
        np.stack([draw_part(settings, domain, "test", i).image for i in range(12)]).astype(float)
        for domain in ("original", "new")
    )
    colour = old[..., 2].mean() / old[..., 0].mean() - new[..., 2].mean() / new[..., 0].mean()
    assert colour < -0.02, "the new light is colder"
    noise = [np.diff(stack, axis=1).std() for stack in (old, new)]
    assert noise[0] != pytest.approx(noise[1], rel=0.02)


def test_images_repeat_and_an_interrupted_making_starts_anew(folder: Path, tmp_path: Path) -> None:
    settings = small(tmp_path)
    torn = inspection_demo_folder(settings).with_suffix(".partial") / "images" / "original_train_00000.png"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    again = make_inspection_demo(settings)
    assert {path.name: path.read_bytes() for path in again.rglob("*.*")} == {
        path.name: path.read_bytes() for path in folder.rglob("*.*")
    }
    assert not torn.parent.parent.exists()
