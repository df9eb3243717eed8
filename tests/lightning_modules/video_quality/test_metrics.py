from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.metrics import (
    QualityMetrics,
    krcc,
    kvq_challenge_score,
    match_moments,
    plcc,
    rank_pair_accuracy,
    rmse,
    srcc,
)
from lightning_modules.video_quality.score_map import fit_four_parameter_logistic, four_parameter_logistic
from tests.forks import run_two_ranks


def pairs(count: int, seed: int, levels: int | None = None) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    pred = torch.randn(count, generator=source, dtype=torch.float64)
    target = 0.7 * pred + torch.randn(count, generator=source, dtype=torch.float64)
    if levels:  # ties on both sides
        pred, target = (pred * levels).round() / levels, (target * levels).round() / levels
    return pred, target


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("count", [3, 10, 500])
@pytest.mark.parametrize("seed", [0, 1])
def test_correlations_equal_scipy(count: int, seed: int, levels: int | None) -> None:
    pred, target = pairs(count, seed, levels)
    assert srcc(pred, target) == pytest.approx(stats.spearmanr(pred, target).statistic, abs=1e-12, nan_ok=True)
    assert plcc(pred, target) == pytest.approx(stats.pearsonr(pred, target).statistic, abs=1e-12, nan_ok=True)
    assert krcc(pred, target) == pytest.approx(stats.kendalltau(pred, target).statistic, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("measure", [srcc, plcc, krcc])
@pytest.mark.parametrize(
    ("pred", "target"),
    [([], []), ([1.0, 2.0], [1.0, 2.0]), ([1.0] * 4, [1.0, 2.0, 3.0, 4.0]), ([math.nan, 1.0, 2.0], [1.0, 2.0, 3.0])],
)
def test_no_correlation_is_nan(measure: object, pred: list[float], target: list[float]) -> None:
    assert math.isnan(measure(torch.tensor(pred), torch.tensor(target)))  # type: ignore[operator]
    assert math.isnan(measure(torch.tensor(target), torch.tensor(pred)))  # type: ignore[operator]


def test_perfect_order_is_exactly_one() -> None:
    pred = torch.arange(50.0) ** 3
    target = torch.arange(50.0)
    assert srcc(pred, target) == 1.0
    assert srcc(-pred, target) == -1.0
    assert krcc(pred, target) == pytest.approx(1.0)
    assert plcc(target * 1e30, target) == pytest.approx(1.0)


def test_infinite_scores_have_a_rank() -> None:
    pred = torch.tensor([-math.inf, 0.0, math.inf, math.inf])
    target = torch.tensor([1.0, 2.0, 3.0, 3.0])
    assert srcc(pred, target) == 1.0
    assert krcc(pred, target) == pytest.approx(1.0)


def test_rmse_before_the_map() -> None:
    pred, target = pairs(40, 0)
    moved = match_moments(9 * pred - 3, target)
    assert float(moved.mean()) == pytest.approx(float(target.mean()))
    assert float(moved.std()) == pytest.approx(float(target.std()))
    z = (pred - pred.mean()) / pred.std()
    expected = (z * target.std() + target.mean() - target).square().mean().sqrt()
    assert rmse(moved, target) == pytest.approx(float(expected))
    assert rmse(match_moments(torch.ones(40), target), target) == pytest.approx(float(target.std(correction=0)))
    assert math.isnan(rmse(torch.zeros(0), torch.zeros(0)))
    assert match_moments(torch.zeros(0), torch.zeros(0)).shape == (0,)


def test_shapes_must_agree() -> None:
    for measure in (srcc, plcc, krcc, rmse, match_moments):
        with pytest.raises(ConfigurationError, match="pairs"):
            measure(torch.zeros(3, 1), torch.zeros(3))


def test_rank_pairs() -> None:
    first = torch.tensor([3.0, 1.0, 2.0, 2.0])
    second = torch.tensor([1.0, 3.0, 2.0, 2.0])
    assert rank_pair_accuracy(first, second, torch.tensor([1, 2, 1, 2])) == 0.75  # a tie answers 1
    assert math.isnan(rank_pair_accuracy(first[:0], second[:0], torch.zeros(0)))
    assert math.isnan(rank_pair_accuracy(first * math.nan, second, torch.ones(4)))
    with pytest.raises(ConfigurationError, match="neither 1"):
        rank_pair_accuracy(first, second, torch.tensor([0, 1, 1, 1]))
    with pytest.raises(ConfigurationError, match="4 pairs and 3 ranks"):
        rank_pair_accuracy(first, second, torch.ones(3))


def test_challenge_score() -> None:
    assert kvq_challenge_score(1.0, 1.0, 1.0, 1.0) == pytest.approx(1.0)
    assert kvq_challenge_score(0.8, 0.6, 0.4, 0.2) == pytest.approx(0.45 * 1.4 + 0.05 * 0.6)


Batch = Sequence[Tensor]


def measured(*batches: Batch) -> dict[str, float]:
    metrics = QualityMetrics()
    for batch in batches:
        metrics.update(*batch)
    found = metrics.compute()
    assert all(value.shape == () for value in found.values())
    return {name: float(value) for name, value in found.items()}


class TestQualityMetrics:
    def test_values(self) -> None:
        pred, target = (part.float() for part in pairs(60, 0))
        found = measured(*zip(pred.split(7), target.split(7), strict=True))
        mapped = four_parameter_logistic(pred.double(), fit_four_parameter_logistic(pred, target))
        expected = {
            "srcc": stats.spearmanr(pred, target).statistic,
            "plcc": stats.pearsonr(pred, target).statistic,
            "krcc": stats.kendalltau(pred, target).statistic,
            "rmse": rmse(match_moments(pred, target), target),
            "plcc_logistic": plcc(mapped, target),
            "rmse_logistic": rmse(mapped, target),
        }
        assert found.keys() == expected.keys()
        assert found == pytest.approx(expected, abs=1e-5)

    def test_padding_and_unknown_labels_do_not_count(self) -> None:
        pred, target = (part.float() for part in pairs(20, 1))
        padding = torch.tensor([99.0, -99.0]), torch.tensor([math.nan, 3.0])
        padded = [torch.cat(parts) for parts in zip((pred, target), padding, strict=True)]
        assert measured([*padded, torch.tensor([True] * 21 + [False])]) == measured([pred, target])

    def test_order_of_delivery_does_not_count(self) -> None:
        pred, target = (part.float() for part in pairs(40, 2, levels=3))
        shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        rows = [(pred[row], target[row]) for row in shuffled.split(9)]
        assert measured(*rows) == measured([pred, target])

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_too_few_samples_are_nan(self, count: int) -> None:
        assert all(math.isnan(value) for value in measured([torch.arange(count).float()] * 2).values())

    @pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
    def test_without_any_update_it_is_nan(self) -> None:
        assert all(math.isnan(value) for value in QualityMetrics().compute().values())

    def test_constant_and_broken_predictions(self) -> None:
        target = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
        found = measured([torch.zeros(5), target])
        assert math.isnan(found["srcc"])
        assert math.isnan(found["plcc_logistic"])
        assert found["rmse"] == pytest.approx(math.sqrt(2))
        assert found["rmse_logistic"] == pytest.approx(math.sqrt(2))
        broken = measured([torch.tensor([0.0, math.nan, 1.0, 2.0, 3.0]), target])
        assert all(math.isnan(value) for value in broken.values())

    def test_reset_and_half_precision(self) -> None:
        metrics = QualityMetrics()
        metrics.update(torch.ones(3), torch.ones(3))
        metrics.reset()
        metrics.update(torch.tensor([1.0, 2.0, 3.0]).bfloat16(), torch.tensor([1.0, 2.0, 3.0]))
        assert float(metrics.compute()["srcc"]) == 1.0
        assert len(metrics.pairs()[0]) == 3

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ConfigurationError, match="one shape"):
            QualityMetrics().update(torch.zeros(3), torch.zeros(3), torch.ones(2, dtype=torch.bool))


def _measure_shares(rank: int, folder: Path) -> None:
    splits = torch.load(folder / "data.pt", weights_only=True)
    found = [measured(*split[rank]) for split in splits]
    (folder / f"{rank}.json").write_text(json.dumps(found))


def test_two_processes_give_the_metrics_of_one(tmp_path: Path) -> None:
    pred, target = (part.float() for part in pairs(31, 3))
    yes = torch.ones(31, dtype=torch.bool)
    padded = [torch.cat([part, part[:1]]) for part in (pred, target)] + [torch.cat([yes, ~yes[:1]])]
    interleaved = [[[part[rank::2] for part in padded]] for rank in range(2)]
    lopsided: list[list[list[Tensor]]] = [[[pred, target, yes]], []]  # the second process saw no batch at all
    invalid = [[[pred, target, yes]], [[pred[:3], target[:3], ~yes[:3]]]]
    torch.save([interleaved, lopsided, invalid], tmp_path / "data.pt")
    run_two_ranks(_measure_shares, tmp_path)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [measured([pred, target])] * 3
