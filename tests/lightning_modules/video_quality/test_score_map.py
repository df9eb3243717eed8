from __future__ import annotations

import logging
import math
from typing import Literal, get_args

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.metrics import plcc, rmse
from lightning_modules.video_quality.score_map import (
    LogisticParameters,
    explain_fit,
    fit_four_parameter_logistic,
    four_parameter_logistic,
)


def curve(count: int, params: tuple[float, float, float, float], noise: float = 0.0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    b3, b4 = params[2:]
    x = b3 + 3 * abs(b4) * (2 * torch.rand(count, generator=source, dtype=torch.float64) - 1)
    mos = four_parameter_logistic(x, params)
    return x, mos + noise * torch.randn(count, generator=source, dtype=torch.float64)


def test_formula() -> None:
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)
    b1, b2, b3, b4 = 4.5, 1.2, 0.3, -0.7  # the width counts by its size
    expected = (b1 - b2) / (1 + torch.exp(-(x - b3) / abs(b4))) + b2
    torch.testing.assert_close(four_parameter_logistic(x, (b1, b2, b3, b4)), expected)
    torch.testing.assert_close(four_parameter_logistic(x, torch.tensor([b1, b2, b3, b4])), expected)
    assert four_parameter_logistic(torch.tensor([-1e9, 1e9]), (5.0, 1.0, 0.0, 1e-3)).tolist() == [1.0, 5.0]


def test_no_map_gives_nan() -> None:
    assert four_parameter_logistic(torch.zeros(2, 3), torch.full((4,), math.nan)).isnan().all()
    with pytest.raises(ConfigurationError, match="takes 4"):
        four_parameter_logistic(torch.zeros(2), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    "params", [(5.0, 1.0, 0.0, 1.0), (4.2, 1.9, 60.0, 9.0), (4.2, 1.9, -0.11, 0.0417), (100.0, 0.0, 1e4, 2e3)]
)
def test_recovers_the_curve_that_made_the_data(params: tuple[float, float, float, float]) -> None:
    x, mos = curve(200, params)
    found, reason = explain_fit(x, mos)
    assert reason == ""
    assert tuple(found) == pytest.approx(params, rel=1e-3, abs=1e-3)


def test_noisy_data_are_fitted_at_least_as_well_as_by_the_usual_start() -> None:
    x, mos = curve(300, (4.5, 1.4, 0.2, 0.5), noise=0.3)
    found = fit_four_parameter_logistic(x, mos)

    def usual(x: np.ndarray, b1: float, b2: float, b3: float, b4: float) -> np.ndarray:
        return (b1 - b2) / (1 + np.exp(-(x - b3) / np.abs(b4))) + b2

    start = [float(mos.max()), float(mos.min()), float(x.mean()), float(x.std()) / 4]
    theirs, _ = curve_fit(usual, x.numpy(), mos.numpy(), p0=start, maxfev=10000)
    ours_error = (four_parameter_logistic(x, found) - mos).square().mean()
    theirs_error = (four_parameter_logistic(x, tuple(theirs)) - mos).square().mean()
    assert ours_error <= theirs_error * (1 + 1e-6)


def test_a_straight_line_is_followed() -> None:
    x = torch.linspace(0, 1, 50, dtype=torch.float64)
    mos = 1 + 4 * x
    found = fit_four_parameter_logistic(x, mos)
    assert (four_parameter_logistic(x, found) - mos).abs().max() < 0.01


@pytest.mark.parametrize(
    ("scores", "mos", "words"),
    [
        ([], [], "no video"),
        ([math.nan, 1.0], [1.0, math.nan], "no video"),
        ([1.0], [3.0], "1 video, fewer than the 4"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "3 videos, fewer than the 4"),
        ([0.5] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 1.0], "all 6 scores are equal to 0.5"),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0] * 5, "all 5 opinion scores are equal to 2"),
        ([5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0], "do not rise"),
        ([1.0, 1.0, 2.0, 2.0, 2.0], [1.0, 1.0, 4.0, 4.0, 4.0], "two values only"),
        ([2.0, 2.0, 1.0, 1.0, 1.0], [1.0, 1.0, 4.0, 4.0, 4.0], "two values only"),
    ],
)
def test_a_straight_line_says_why(
    scores: list[float], mos: list[float], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    x, y = torch.tensor(scores), torch.tensor(mos)
    with caplog.at_level(logging.WARNING):
        found = fit_four_parameter_logistic(x, y)
    assert words in caplog.text
    assert words in explain_fit(x, y)[1]
    if words == "no video":
        assert all(math.isnan(value) for value in found)
        return
    assert all(math.isfinite(value) for value in found)
    mapped = four_parameter_logistic(x.double(), found)
    expected = y.double()
    if "fewer" not in words and (x.diff() * y.diff()).sum() <= 0:  # nothing rises: the mean is all that can be said
        expected = torch.full_like(expected, float(expected.mean()))
    torch.testing.assert_close(mapped, expected, atol=0.02, rtol=0)


def test_unknown_pairs_are_left_out() -> None:
    x, mos = curve(50, (5.0, 1.0, 0.0, 1.0))
    clean = fit_four_parameter_logistic(x, mos)
    x, mos = torch.cat([x, torch.tensor([math.inf, 0.0])]), torch.cat([mos, torch.tensor([3.0, math.nan])])
    assert fit_four_parameter_logistic(x, mos) == clean


def test_one_outlier_does_not_break_the_search() -> None:
    x, mos = curve(100, (4.5, 1.5, 0.0, 1.0), noise=0.1)
    x[0] = 1e6
    found = fit_four_parameter_logistic(x, mos)
    assert all(math.isfinite(value) for value in found)


def test_shapes_must_agree() -> None:
    with pytest.raises(ConfigurationError, match="pairs"):
        fit_four_parameter_logistic(torch.zeros(3), torch.zeros(4))


Kind = Literal["noisy", "tied", "heavy-tailed", "step"]


def opinions_of(seed: int, count: int, kind: Kind) -> tuple[Tensor, Tensor]:
    """Scores that follow the opinion a little, not at all, or by a leap; on their own scale."""
    source = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, count, generator=source, dtype=torch.float64)
    y = torch.sigmoid((60 if kind == "step" else 2) * x) * (seed % 4) + noise
    if kind == "tied":
        return (2 * x).round(), (2 * y).round()
    return (x**3 if kind == "heavy-tailed" else 40 + 7 * x), y


def agreement(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Correlation, 0 of a flat map, and error of the mapped scores."""
    mapped = four_parameter_logistic(x, fit_four_parameter_logistic(x, y))
    found = plcc(mapped, y)
    return 0.0 if math.isnan(found) else found, rmse(mapped, y)


KINDS = st.sampled_from(get_args(Kind))


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 60), KINDS)
def test_the_last_digits_of_scores_and_opinions_change_the_last_digits_of_the_fit(
    seed: int, count: int, kind: Kind
) -> None:
    x, y = opinions_of(seed, count, kind)
    source = torch.Generator().manual_seed(seed + 1)
    moves = 1e-7 * (2 * torch.rand(2, count, generator=source, dtype=torch.float64) - 1)
    before = agreement(x, y)
    after = agreement(x + moves[0] * x.std(), y + moves[1] * y.std())
    assert after == pytest.approx(before, abs=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 60), KINDS)
def test_the_order_of_pairs_does_not_count(seed: int, count: int, kind: Kind) -> None:
    x, y = opinions_of(seed, count, kind)
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert explain_fit(x[shuffled], y[shuffled]) == explain_fit(x, y)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([2.0**-900, 2.0**-40, 2.0**900]), KINDS)
def test_scores_and_opinions_of_any_scale(seed: int, scale: float, kind: Kind) -> None:
    x, y = opinions_of(seed, 30, kind)
    plain = explain_fit(x, y)[0]
    b1, b2, b3, b4 = (value / scale for value in explain_fit(scale * x, scale * y)[0])
    assert (b1, b2, b3, b4) == pytest.approx(plain, rel=1e-9, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(5, 40), KINDS)
def test_no_curve_fits_better(seed: int, count: int, kind: Kind) -> None:
    x, y = opinions_of(seed, count, kind)
    error = agreement(x, y)[1]
    u = (x - x.mean()) / x.std(correction=0)
    widths = torch.logspace(math.log10(0.051), 1, 30, dtype=torch.float64)[:, None, None]
    centres = torch.linspace(float(u.min()), float(u.max()), 200, dtype=torch.float64)[:, None]
    shapes = torch.sigmoid((u - centres) / widths).flatten(0, 1)
    shapes = shapes - shapes.mean(1, keepdim=True)
    rises = (shapes @ (y - y.mean()) / shapes.square().sum(1)).clamp_min(0)
    errors = (rises[:, None] * shapes + y.mean() - y).square().mean(1).sqrt()
    assert error <= float(errors.min()) + 1e-6 * float(y.std())


def test_a_search_that_does_not_end_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    search = scipy.optimize.least_squares
    monkeypatch.setattr(
        scipy.optimize, "least_squares", lambda *args, **options: search(*args, **options | {"max_nfev": 1})
    )
    found, reason = explain_fit(*curve(50, (4.5, 1.4, 0.2, 0.5), noise=0.3))
    assert reason == ""
    assert all(math.isfinite(value) for value in found)
    assert "did not converge in 1 steps" in caplog.text


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(1, 5, width=32)), min_size=1, max_size=12))
def test_the_map_is_finite_and_never_falls(pairs: list[tuple[float, float]]) -> None:
    x = torch.tensor([score for score, _ in pairs])
    found = fit_four_parameter_logistic(x, torch.tensor([mos for _, mos in pairs]))
    assert isinstance(found, LogisticParameters)
    assert all(math.isfinite(value) for value in found)
    assert found.b1 >= found.b2
    assert found.b4 > 0
    ordered = four_parameter_logistic(x.double().sort().values, found)
    assert (ordered.diff() >= -1e-12).all()  # equal scores may differ in the last digit
