"""FrameMetrics: counted by hand, in any batches, without padding."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.action.metrics import FrameMetrics
from tests.forks import run_two_ranks


def rows(count: int = 60) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    video = torch.arange(count) // 5
    return {
        "logits": torch.randn(count, 3, generator=generator),
        "label": (video % 3).where(video % 4 != 3, 0),
        "video_index": video,
        "valid": torch.ones(count, dtype=torch.bool),
    }


def test_every_measure_by_hand() -> None:
    given = rows()
    metrics = FrameMetrics(3)
    metrics.update(**given)
    values = metrics.compute()
    hit = given["logits"].argmax(dim=1) == given["label"]
    means = given["logits"].softmax(dim=1).view(12, 5, 3).mean(dim=1)
    recalls = [hit[given["label"] == number].float().mean() for number in range(3)]
    assert values["loss"] == F.cross_entropy(given["logits"], given["label"])
    torch.testing.assert_close(values["accuracy"], hit.float().mean())
    torch.testing.assert_close(values["balanced_accuracy"], torch.stack(recalls).mean())
    torch.testing.assert_close(values["video_accuracy"], (means.argmax(dim=1) == given["label"][::5]).float().mean())


def test_any_batches_and_padding_give_the_same() -> None:
    given = rows()
    whole, parts = FrameMetrics(3), FrameMetrics(3)
    whole.update(**given)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    padded = torch.cat([order, order[:3]])  # the sampler repeats rows to fill the last batch
    valid = torch.arange(63) < 60
    for start in range(0, 63, 7):
        at = padded[start : start + 7]
        batch = {name: value[at] for name, value in given.items()} | {"valid": valid[start : start + 7]}
        parts.update(**batch)
    for name, value in whole.compute().items():
        torch.testing.assert_close(parts.compute()[name], value)


def test_frames_without_label_and_absent_classes() -> None:
    metrics = FrameMetrics(4)
    logits = torch.eye(4)[:3] * 5
    metrics.update(logits, torch.tensor([0, -1, 3]), torch.tensor([0, 1, 2]), torch.ones(3, dtype=torch.bool))
    values = metrics.compute()
    assert values["accuracy"] == 0.5
    assert values["balanced_accuracy"] == 0.5
    assert values["video_accuracy"] == 0.5


def test_no_frames() -> None:
    metrics = FrameMetrics(2)
    nobody = torch.zeros(2, dtype=torch.bool)
    metrics.update(torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64), nobody)
    assert all(math.isnan(value) for value in metrics.compute().values())


def test_ties_go_to_the_first_class() -> None:
    metrics = FrameMetrics(2)
    metrics.update(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([0, 1]), torch.ones(2, dtype=torch.bool))
    assert metrics.compute()["video_accuracy"] == 0.5


def in_process(rank: int, folder: Path) -> None:
    metrics = FrameMetrics(3)
    metrics.update(**{name: value[rank::2] for name, value in rows().items()})  # each video is seen by both
    torch.save(metrics.compute(), folder / f"{rank}.pt")


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    metrics = FrameMetrics(3)
    metrics.update(**rows())
    run_two_ranks(in_process, tmp_path)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, value in metrics.compute().items():
            torch.testing.assert_close(found[name], value)
