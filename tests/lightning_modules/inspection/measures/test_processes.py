"""Metrics of two processes against those of one, one process having no rows of a domain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_modules.inspection.measures.areas import AreaMetrics
from lightning_modules.inspection.measures.images import ImageMetrics
from tests.forks import run_two_ranks

ROWS = 8


def make_areas() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(ROWS, 2, 1, 8, 8, generator=generator) < 0.1).float()
    scores = torch.sigmoid(torch.randn(target.shape, generator=generator) + 2 * target - 3)
    return scores, target, torch.rand(target.shape, generator=generator) < 0.8


Metrics = tuple[AreaMetrics, ImageMetrics]


def updated(rows: slice) -> Metrics:
    """Metrics after an update with some rows; without one where there are none."""
    scores, target, known = (part[rows] for part in make_areas())
    areas, images = AreaMetrics(num_classes=2), ImageMetrics()
    if len(scores):
        areas.update(scores, target, known)
        highest = scores.flatten(1).amax(1)
        images.update(highest, highest > 0.5, target.flatten(1).any(1), torch.ones(len(scores), dtype=torch.bool))
    return areas, images


def read(metrics: Metrics) -> list[Tensor]:
    """All measures."""
    areas, images = metrics
    assert not areas.is_empty()
    thresholds = areas.best_thresholds("f1")
    values = [*areas.compute().values(), thresholds, *areas.at(thresholds).values(), areas.error_bound()]
    return [*values, areas.best_thresholds("recall", 0.8), *images.compute().values()]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for value, other in zip(found, expected, strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("split", [3, ROWS])  # in the second case, the other process sees no row
def test_states_gathered_from_two_processes_measure_what_one_does(split: int) -> None:
    mine, others = updated(slice(0, split)), updated(slice(split, ROWS))
    for metric, other in zip(mine, others, strict=True):
        theirs = {state.shape: state.clone() for state in other.metric_state.values()}
        metric.distributed_available_fn = lambda: True
        metric.dist_sync_fn = lambda state, group=None, theirs=theirs: [state, theirs[state.shape]]
    assert_same(read(mine), read(updated(slice(0, ROWS))))


def in_process(rank: int, folder: Path) -> None:
    for split in (3, ROWS):
        torch.save(read(updated((slice(0, split), slice(split, ROWS))[rank])), folder / f"{split}-{rank}.pt")


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    expected = read(updated(slice(0, ROWS)))
    run_two_ranks(in_process, tmp_path)
    files = sorted(tmp_path.glob("*.pt"))
    assert len(files) == 4
    for file in files:
        assert_same(torch.load(file, weights_only=True), expected)
