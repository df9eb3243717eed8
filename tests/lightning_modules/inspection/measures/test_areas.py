"""Area metrics against scikit-learn, per class, merged over processes, and at tuned thresholds."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.inspection.measures.areas import AreaMetrics, bin_threshold, score_bins


def _exact(scores: Tensor, target: Tensor, known: Tensor, class_index: int) -> float:
    rows = known[:, class_index].flatten()
    truth = target[:, class_index].flatten()[rows].numpy()
    return float(average_precision_score(truth, scores[:, class_index].flatten()[rows].double().numpy()))


def _areas(kind: str, seed: int = 0, classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """(B, C, A, h, w) scores, targets and known areas."""
    generator = torch.Generator().manual_seed(seed)
    shape = (24, classes, 1, 16, 16)
    target = (torch.rand(shape, generator=generator) < 0.02).float()
    noise = torch.randn(shape, generator=generator)
    logits = {
        "spread": 2 * noise + 2 * target - 1,
        "near zero": noise + 3 * target - 9,  # all scores under about 0.02, most around 1e-4
        "tiny": 1.5 * noise + 3 * target - 16,  # around 1e-7
        "saturated": 3 * noise + 3 * target + 12,
        "ties": (2 * noise + 2 * target).round(),
        "constant": torch.full(shape, -6.0),
    }[kind]
    known = torch.rand(shape, generator=generator) < 0.7
    return torch.sigmoid(logits), target, known


def _measured(kind: str, seed: int = 0) -> tuple[AreaMetrics, Tensor, Tensor, Tensor]:
    metrics, areas = AreaMetrics(num_classes=3), _areas(kind, seed)
    metrics.update(*areas)
    return metrics, *areas


@pytest.mark.parametrize(
    ("kind", "bound"),
    [("spread", 1e-3), ("near zero", 1e-3), ("tiny", 1e-3), ("saturated", 1e-3), ("ties", 1e-6), ("constant", 1e-6)],
)
def test_average_precision_is_that_of_sklearn(kind: str, bound: float) -> None:
    metrics, scores, target, known = _measured(kind)
    result = metrics.compute()
    exact = [_exact(scores, target, known, index) for index in range(3)]
    error = (result["ap"].double() - torch.tensor(exact, dtype=torch.float64)).abs()
    assert float(error.max()) < bound
    assert bool((error <= metrics.error_bound() + 1e-6).all())
    assert float(result["map"]) == pytest.approx(float(np.mean(exact)), abs=bound)


def test_equally_wide_bins_of_the_score_would_not_do() -> None:
    """What the log-spaced bins are for: background near 0."""
    scores, target, known = _areas("near zero")
    coarse = (scores * 4096).floor() / 4096
    exact, rounded = _exact(scores, target, known, 0), _exact(coarse, target, known, 0)
    assert abs(exact - rounded) > 0.01


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: any(positive for _, positive in rows)
    )
)
def test_error_bound_holds_for_any_crowding(rows: list[tuple[int, bool]]) -> None:
    # steps finer than a bin: different scores share one
    base = 0.3
    scores = torch.tensor([base * math.exp(0.001 * step) for step, _ in rows]).view(1, 1, -1)
    target = torch.tensor([float(positive) for _, positive in rows]).view(1, 1, -1)
    known = torch.ones_like(target, dtype=torch.bool)
    metrics = AreaMetrics(num_classes=1)
    metrics.update(scores, target, known)
    error = abs(float(metrics.compute()["ap"]) - _exact(scores, target, known, 0))
    assert error <= float(metrics.error_bound()) + 1e-6


def test_precision_and_recall_count_areas_of_all_classes() -> None:
    metrics, scores, target, known = _measured("spread")
    detected = (scores >= 0.5) & known
    right = float((detected & (target > 0)).sum())
    assert float(metrics.compute()["precision"]) == pytest.approx(right / float(detected.sum()))
    assert float(metrics.compute()["recall"]) == pytest.approx(right / float((known & (target > 0)).sum()))
    assert metrics.at(torch.full((3,), 0.5)) == {name: metrics.compute()[name] for name in ("precision", "recall")}


def test_a_class_without_positives_leaves_the_mean() -> None:
    scores, target, known = _areas("spread")
    target[:, 1] = 0
    metrics = AreaMetrics(num_classes=3)
    metrics.update(scores, target, known)
    result = metrics.compute()
    assert math.isnan(float(result["ap"][1]))
    assert float(result["map"]) == pytest.approx(float((result["ap"][0] + result["ap"][2]) / 2))
    assert float(metrics.best_thresholds()[1]) == 0.5


def test_nothing_known_gives_nan_and_no_error() -> None:
    scores, target, known = _areas("spread")
    metrics = AreaMetrics(num_classes=3)
    metrics.update(scores, target, torch.zeros_like(known))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.compute()
    assert all(bool(torch.isnan(value).all()) for value in result.values())
    assert metrics.best_thresholds().tolist() == [0.5] * 3
    assert metrics.is_empty()


def test_no_detection_is_the_worst_precision() -> None:
    metrics = AreaMetrics(num_classes=1)
    metrics.update(torch.full((1, 1, 4), 0.1), torch.ones(1, 1, 4), torch.ones(1, 1, 4, dtype=torch.bool))
    assert float(metrics.compute()["precision"]) == 0.0
    assert float(metrics.compute()["recall"]) == 0.0


def test_processes_merge_by_adding_states() -> None:
    scores, target, known = _areas("near zero")
    whole, first, second = (AreaMetrics(num_classes=3) for _ in range(3))
    whole.update(scores, target, known)
    first.update(scores[:5], target[:5], known[:5])
    second.update(scores[5:], target[5:], known[5:])
    first.merge_state(second)
    assert torch.equal(whole.counts, first.counts)
    whole.reset()
    assert whole.is_empty()


@pytest.mark.parametrize("kind", ["spread", "near zero", "saturated"])
def test_f1_threshold_is_as_good_as_sklearns_best(kind: str) -> None:
    metrics, scores, target, known = _measured(kind)
    thresholds = metrics.best_thresholds("f1")
    for index in range(3):
        rows = known[:, index].flatten()
        truth, score = target[:, index].flatten()[rows], scores[:, index].flatten()[rows]
        precision, recall, _ = precision_recall_curve(truth.numpy(), score.numpy())
        best = float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())
        detected = score >= thresholds[index]
        right = float((detected & (truth > 0)).sum())
        f1 = 2 * right / (float(detected.sum()) + float(truth.sum()))
        assert f1 == pytest.approx(best, abs=0.01)


def test_recall_floor_is_met_by_the_highest_threshold() -> None:
    metrics, scores, target, known = _measured("near zero")
    thresholds = metrics.best_thresholds("recall", 0.9)
    for index in range(3):
        positive = scores[:, index][known[:, index] & (target[:, index] > 0)]
        assert float((positive >= thresholds[index]).float().mean()) >= 0.9
        higher = bin_threshold(score_bins(thresholds[index : index + 1]) + 1)
        assert float((positive >= higher).float().mean()) < 0.9
    assert float(metrics.at(thresholds)["recall"]) >= 0.9
    everything = metrics.best_thresholds("recall", 1.0)
    assert float(metrics.at(everything)["recall"]) == 1.0


def test_counting_at_tuned_thresholds_is_exact() -> None:
    metrics, scores, target, known = _measured("spread", seed=3)
    thresholds = metrics.best_thresholds("f1")
    detected = (scores >= thresholds.view(1, 3, 1, 1, 1)) & known
    right = float((detected & (target > 0)).sum())
    assert float(metrics.at(thresholds)["precision"]) == pytest.approx(right / float(detected.sum()))


def test_every_threshold_opens_its_bin() -> None:
    index = torch.arange(8192)
    threshold = bin_threshold(index)
    assert bool((score_bins(threshold)[1:] >= index[1:]).all())
    assert torch.equal(score_bins(threshold)[1:6000], index[1:6000])
    below = torch.nextafter(threshold, torch.zeros(1))
    assert bool((score_bins(below)[1:] < index[1:]).all())
    assert float(threshold[4096]) == 0.5
    assert bool((threshold.diff() >= 0).all())


def test_half_precision_scores_and_nan() -> None:
    assert score_bins(torch.tensor([0.5, 1.0], dtype=torch.bfloat16)).tolist() == [4096, 8191]
    assert score_bins(torch.tensor([math.nan])).tolist() == [0]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigurationError, match="even number"):
        AreaMetrics(num_classes=2, bins=7)
    metrics = AreaMetrics(num_classes=2)
    with pytest.raises(ConfigurationError, match="one method"):
        metrics.update(torch.zeros(1, 3, 4), torch.zeros(1, 3, 4), torch.zeros(1, 3, 4, dtype=torch.bool))
    with pytest.raises(ConfigurationError, match=r"0\.\.1"):
        metrics.best_thresholds("recall", 1.5)
