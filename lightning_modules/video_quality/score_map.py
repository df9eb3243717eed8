"""The four-parameter logistic from a model's raw score to the scale of opinion scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

_log = logging.getLogger(__name__)

_MINIMUM = 4  # samples for four parameters
_SLOPES = (0.25, 1.0, 4.0)  # starting widths of the curve, in standard deviations of the scores
_LINEAR_WIDTH = 10.0  # at this width the curve is straight to 1 % over three standard deviations


class LogisticParameters(NamedTuple):
    """Asymptotes b1 (upper) and b2 (lower) in units of the opinion score, centre b3 and width b4 > 0 in raw score."""

    b1: float
    b2: float
    b3: float
    b4: float


def four_parameter_logistic(x: Tensor, params: Sequence[float] | Tensor) -> Tensor:
    """Map raw scores to opinion scores: (b1 - b2) / (1 + exp(-(x - b3) / |b4|)) + b2.

    Args:
        x: Raw scores of any shape, floating point.
        params: The four parameters b1, b2, b3, b4; NaN (no map yet) gives NaN.

    Returns:
        Opinion scores, in the shape and dtype of ``x``.

    Raises:
        ConfigurationError: If there are not four parameters.

    Example:
        >>> four_parameter_logistic(torch.tensor([-100.0, 0.5, 100.0]), (5.0, 1.0, 0.5, 0.2))
        tensor([1., 3., 5.])

    References:
        VQEG, "Final report from the Video Quality Experts Group on the validation of objective models of video quality
        assessment", 2000;
        Seshadrinathan et al., "Study of Subjective and Objective Quality Assessment of Video", IEEE TIP 2010.
    """
    values = torch.as_tensor(params, dtype=x.dtype, device=x.device)
    if values.shape != (4,):
        raise ConfigurationError(f"The logistic has parameters of shape {tuple(values.shape)}, but it takes 4.")
    b1, b2, b3, b4 = values.unbind()
    return (b1 - b2) * torch.sigmoid((x - b3) / b4.abs()) + b2


def fit_four_parameter_logistic(scores: Tensor, mos: Tensor) -> LogisticParameters:
    """Fit the rising logistic by least squares and log a warning where a straight line had to do.

    Args:
        scores: ``(N,)`` raw scores. Pairs with NaN or an infinity are left out.
        mos: ``(N,)`` opinion scores.

    Returns:
        b1 >= b2, b3, b4 > 0, all finite (NaN when no pair is left).

    Raises:
        ConfigurationError: If the shapes differ.

    Example:
        >>> x = torch.linspace(-2, 2, 50)
        >>> fit = fit_four_parameter_logistic(x, four_parameter_logistic(x, (4.5, 1.5, 0.3, 0.6)))
        >>> [round(b, 3) for b in fit]
        [4.5, 1.5, 0.3, 0.6]
    """
    params, reason = explain_fit(scores, mos)
    if reason:
        _log.warning("The map from raw scores to opinion scores is a straight line: %s", reason)
    return params


def explain_fit(scores: Tensor, mos: Tensor) -> tuple[LogisticParameters, str]:
    """Fit as :func:`fit_four_parameter_logistic` does and say why the result is a straight line.

    The straight line is a logistic so wide that it bends by less than 1 % over the data. It is never falling: scores
    that do not rise with the opinion map to the mean opinion.

    Args:
        scores: ``(N,)`` raw scores.
        mos: ``(N,)`` opinion scores.

    Returns:
        The parameters, and the reason as a sentence, empty when the logistic itself was fitted.

    Raises:
        ConfigurationError: If the shapes differ.

    Example:
        >>> explain_fit(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 5.0]))[1]
        '2 videos are fewer than the 4 that four parameters need.'
    """
    if scores.shape != mos.shape:
        raise ConfigurationError(
            f"The scores have shape {tuple(scores.shape)} and the opinion scores {tuple(mos.shape)}, but they go in "
            "pairs: give them one shape."
        )
    x = scores.detach().cpu().double().numpy().reshape(-1)
    y = mos.detach().cpu().double().numpy().reshape(-1)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) == 0:
        return LogisticParameters(*[float("nan")] * 4), "no video has both a finite score and an opinion."
    if len(x) < _MINIMUM:
        return _straight(x, y), f"{len(x)} videos are fewer than the {_MINIMUM} that four parameters need."
    if x.min() == x.max():
        return _straight(x, y), f"all {len(x)} scores are equal to {x[0]:.6g}."
    if y.min() == y.max():
        return _straight(x, y), f"all {len(y)} opinion scores are equal to {y[0]:.6g}."
    if _slope(x, y) <= 0:
        return _straight(x, y), "the scores do not rise with the opinion."
    best = _least_squares(x, y)
    if best is None:
        return _straight(x, y), "the search for the four parameters did not converge."
    return best, ""


def _slope(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    centred = x - x.mean()
    spread = float(centred @ centred)
    return float(centred @ (y - y.mean())) / spread if spread > 0 else 0.0


def _straight(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> LogisticParameters:
    """Return the logistic that runs along the least-squares line, or along the mean where that line falls."""
    width = _LINEAR_WIDTH * (float(x.std()) or 1.0)
    half = 2 * width * max(_slope(x, y), 0.0)  # the logistic rises by (b1 - b2) / (4 b4) at its centre
    centre = float(y.mean())
    return LogisticParameters(centre + half, centre - half, float(x.mean()), width)


def _least_squares(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> LogisticParameters | None:
    """Search from several widths in standardised units; None when every search fails."""
    from scipy.optimize import least_squares  # slow to import, and needed at the end of an epoch only
    from scipy.special import expit

    x_mean, x_scale = float(x.mean()), float(x.std())
    y_low, y_scale = float(y.min()), float(y.max() - y.min())
    u, v = (x - x_mean) / x_scale, (y - y_low) / y_scale

    # Rise, lower asymptote, centre, log width: a rise that cannot be negative keeps the map from falling.
    def residual(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(p[0] * expit((u - p[2]) / np.exp(p[3])) + p[1] - v, dtype=np.float64)

    reach = float(np.abs(u).max())
    bounds = ([0.0, -20.0, -3 * reach, -7.0], [40.0, 1.0, 3 * reach, 5.0])
    best: tuple[float, npt.NDArray[np.float64]] | None = None
    for width in _SLOPES:
        start = [1.0, 0.0, float(np.median(u)), np.log(width)]
        found = least_squares(residual, start, bounds=bounds, xtol=1e-12, ftol=1e-12, gtol=1e-12, max_nfev=500)
        if np.isfinite(found.cost) and (best is None or found.cost < best[0]):
            best = float(found.cost), np.asarray(found.x, dtype=np.float64)
    if best is None:
        return None
    rise, lower, centre, log_width = (float(value) for value in best[1])
    b2 = y_low + lower * y_scale
    return LogisticParameters(b2 + rise * y_scale, b2, x_mean + centre * x_scale, float(np.exp(log_width)) * x_scale)
