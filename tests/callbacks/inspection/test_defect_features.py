"""Features at defective areas: the draw, the number and the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.inspection.defect_features import DefectFeatures, FeatureDraw, domain_classifier_accuracy
from callbacks.inspection.feature_figure import class_colours
from datamodules.inspection.batch import InspectionBatch
from lightning_modules import MentoringSegmenter
from tests.inspection_batches import blank_batch
from tests.running import quiet_trainer

SIDE = 32


def make_batch(rows: int, first: int = 0) -> InspectionBatch:
    """Images of both domains in turn, each with one class 0 and one class 1 defect at random places."""
    generator = torch.Generator().manual_seed(first)
    mask = torch.zeros(rows, SIDE, SIDE, dtype=torch.uint8)
    for row in range(rows):
        y, x = torch.randint(0, 2, (2,), generator=generator).tolist()
        mask[row, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = 1
        mask[row, 16 + 8 * y : 24 + 8 * y, 8 * x : 8 * x + 8] = 2
    return blank_batch(
        rows, SIDE, SIDE, boxes=1, answers=1, first=first, class_mask=mask, domain=torch.arange(rows) % 2,
        image=torch.randint(0, 255, (rows, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator),
    )  # fmt: skip


def make_cells(batch: InspectionBatch, width: int = 6) -> tuple[Tensor, Tensor]:
    """Features that name their image and cell, and some defective cells."""
    rows = len(batch["index"])
    place = torch.arange(16.0).view(1, 1, 4, 4) + 100 * batch["index"].view(-1, 1, 1, 1)
    features = place.expand(rows, width, 4, 4)
    generator = torch.Generator().manual_seed(1)
    defective = torch.rand(200, 2, 4, 4, generator=generator)[batch["index"]] < 0.3
    return features, defective


def draw(rows: list[int], width: int = 6) -> FeatureDraw:
    """Draw from images in that many batches."""
    drawn = FeatureDraw(num_classes=2, limit=12, width=width, seed=0)
    first = 0
    for count in rows:
        batch = make_batch(count, first)
        batch["domain"] = batch["index"] % 2
        features, defective = make_cells(batch)
        drawn.add(features, defective, batch)
        first += count
    return drawn


def test_the_draw_does_not_depend_on_the_batches() -> None:
    one, many = draw([40]).areas(), draw([7, 1, 20, 12]).areas()
    assert one.keys() == many.keys()
    assert all(np.array_equal(one[name], many[name]) for name in one)
    assert np.bincount(2 * one["class_index"] + one["domain"]).tolist() == [12] * 4
    assert bool((one["features"][:, 0] // 100 == one["index"]).all())  # each feature is of its own image
    assert bool((one["index"] % 2 == one["domain"]).all())
    assert len(np.unique(one["index"])) > 15  # all over the images


def test_processes_join_to_the_draw_of_one() -> None:
    parts = [FeatureDraw(num_classes=2, limit=12, width=6, seed=0) for _ in range(2)]
    for first in range(0, 40, 4):
        batch = make_batch(4, first)
        parts[first // 4 % 2].add(*make_cells(batch), batch)
    stacked = [torch.stack(pair) for pair in zip(*(part.state() for part in parts), strict=True)]
    parts[0].merge(*stacked)
    joined, whole = parts[0].areas(), draw([40]).areas()
    assert all(np.array_equal(joined[name], whole[name]) for name in whole)


def make_areas(shift: float, images: int = 30) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    index = np.repeat(np.arange(2 * images), 4)
    domain = index % 2
    # what an image's areas share must not help: folds never part an image
    features = generator.normal(size=(len(index), 8)) + generator.normal(size=(2 * images, 8))[index] * 2
    features[:, 0] += shift * domain
    return {"features": features, "domain": domain, "index": index, "class_index": np.zeros_like(index)}


def test_domain_classifier_is_at_chance_for_equal_domains() -> None:
    equal, apart = domain_classifier_accuracy(make_areas(0.0)), domain_classifier_accuracy(make_areas(40.0))
    assert equal is not None
    assert apart is not None
    assert abs(equal - 0.5) < 0.12
    assert apart > 0.95


def test_too_few_images_give_no_number() -> None:
    assert domain_classifier_accuracy(make_areas(0.0, images=9)) is None
    one_domain = make_areas(0.0)
    one_domain["domain"][:] = 0
    assert domain_classifier_accuracy(one_domain) is None


def test_files_and_number_of_a_test_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = MentoringSegmenter(["scratch", "pit"], backbone="small", width=4)
    trainer = quiet_trainer(tmp_path, DefectFeatures(max_per_class=10))
    trainer.test(module, DataLoader([make_batch(8, first) for first in (0, 8, 16)], batch_size=None), verbose=False)
    assert 0 <= float(trainer.callback_metrics["test/domain_classifier_accuracy"]) <= 1
    with np.load(tmp_path / "defect_features.npz", allow_pickle=False) as areas:
        assert areas["features"].shape == (40, module.network.num_features)
        assert areas["class_names"].tolist() == ["scratch", "pit"]
        assert np.bincount(2 * areas["class_index"] + areas["domain"]).tolist() == [10] * 4
    assert imread(tmp_path / "defect_features.png").shape[1] > 600


def test_healthy_images_write_nothing(tmp_path: Path) -> None:
    module = MentoringSegmenter(["scratch", "pit"], backbone="small", width=4)
    batch = make_batch(4)
    batch["class_mask"][:] = 0
    trainer = quiet_trainer(tmp_path, DefectFeatures())
    trainer.test(module, DataLoader([batch], batch_size=None), verbose=False)
    assert "test/domain_classifier_accuracy" not in trainer.callback_metrics
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [3, 13, 40])
def test_every_class_has_its_colour(number: int) -> None:
    assert len(set(class_colours(number))) == number
