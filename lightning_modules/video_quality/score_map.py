"""The four-parameter logistic from a model's raw score to the scale of opinion scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError, number_of

_log = logging.getLogger(__name__)

_MINIMUM = 4  # samples for four parameters
_LINEAR_WIDTH = 10.0  # at this width the curve is straight to 1 % over three standard deviations
_NARROWEST = 0.05  # width in standard deviations; a narrower curve would follow the rounding of the scores
_OVERHANG = 3.0  # widths by which the centre may leave the scores; beyond, all curves are one exponential
_LOG_STEP = 0.5 * float(np.log(2))  # between widths of the grid
_AROUND = np.arange(-6, 8)  # half widths from a score at which the grid has centres; farther off a curve is a step
_STARTS, _MARGIN = 32, 0.1  # most searches, and how far below the best correlation of the grid they may begin
_PULL = 1e-9  # weight, in shares of the variance, that decides between curves which fit alike
_FLAT = 1e-6  # correlation up to which no curve rises with the opinion
_CELLS = 1 << 22  # of the grid's matrix held at once

_Array = npt.NDArray[np.float64]


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

    The fit is the global one: a grid over all centres and widths, then a search from the best of each width. So a
    change in the last digits of the scores changes the error in its last digits only, and the order of the pairs
    changes nothing. Scores and opinions may have any scale. A curve is at least 0.05 standard deviations of the scores
    wide, and its centre lies at most three widths outside them. Of curves that fit alike it is the one of medium width
    and centre.

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

    The straight line is a logistic so wide that it bends by less than 1 % over the data. It takes over below four pairs
    and below three different scores, which no curve fits better. It is never falling: where no rising curve follows the
    opinion, and where all scores or all opinions are equal, each score maps to the mean opinion.

    Args:
        scores: ``(N,)`` raw scores.
        mos: ``(N,)`` opinion scores.

    Returns:
        The parameters, and the reason as a sentence, empty when the logistic itself was fitted.

    Raises:
        ConfigurationError: If the shapes differ.

    Example:
        >>> explain_fit(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 5.0]))[1]
        '2 videos, fewer than the 4 that four parameters need.'
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
    order = np.lexsort((y, x))  # sums then come out the same for any order of the pairs
    pairs = _Standardised(*_standardised(x[order]), *_standardised(y[order]))
    line = _straight(pairs)
    if len(x) < _MINIMUM:
        return line, f"{number_of(len(x), 'video')}, fewer than the {_MINIMUM} that four parameters need."
    if x.min() == x.max():
        return line, f"all {len(x)} scores are equal to {x[0]:.6g}."
    if y.min() == y.max():
        return line, f"all {len(y)} opinion scores are equal to {y[0]:.6g}."
    if len(np.unique(x)) < 3:
        return line, f"the {len(x)} scores take two values only."
    best = _least_squares(pairs)
    return (line, "the scores do not rise with the opinion.") if best is None else (best, "")


class _Standardised(NamedTuple):
    """Scores u and opinions v of mean 0 and variance 1, ``(N,)`` each, and the way back."""

    u: _Array
    x_mean: float
    x_scale: float
    v: _Array
    y_mean: float
    y_scale: float

    def parameters(self, rise: float, lower: float, centre: float, width: float) -> LogisticParameters:
        """The curve rise * sigmoid((u - centre) / width) + lower in the units of scores and opinions."""
        b2 = self.y_mean + lower * self.y_scale
        b4 = max(width * self.x_scale, float(np.finfo(np.float64).tiny))
        return LogisticParameters(b2 + rise * self.y_scale, b2, self.x_mean + centre * self.x_scale, b4)


def _standardised(values: _Array) -> tuple[_Array, float, float]:
    """Mean 0 and variance 1 for any scale, beside the mean and the standard deviation; equal values give 0, 1."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.zeros_like(values), low, 1.0
    half = high / 2 - low / 2
    unit = (values / 2 - (low / 4 + high / 4)) / half * 2  # -1..1, so that squares neither overflow nor vanish
    mean, spread = float(unit.mean()), float(unit.std())
    return (unit - mean) / spread, low / 2 + high / 2 + mean * half, spread * half


def _straight(pairs: _Standardised) -> LogisticParameters:
    """Return the logistic that runs along the least-squares line, or along the mean where that line falls."""
    slope = max(float((pairs.u * pairs.v).mean()), 0.0)
    half = 2 * _LINEAR_WIDTH * slope  # the logistic rises by (b1 - b2) / (4 b4) at its centre
    return pairs.parameters(2 * half, -half, 0.0, _LINEAR_WIDTH)


def _least_squares(pairs: _Standardised) -> LogisticParameters | None:
    """The best of all rising curves, and a warning where its search did not converge; None where none rises."""
    from scipy.optimize import least_squares  # slow to import, and needed at the end of an epoch only

    family = _Family(pairs.u, pairs.v)
    search = partial(
        least_squares,
        family.residual,
        jac=family.jacobian,
        bounds=family.bounds,
        method="dogbox",
        xtol=1e-10,
        ftol=1e-13,
        gtol=1e-11,
        max_nfev=200,
    )
    found = [search(x0=start) for start in family.starts()]
    if not found:
        return None
    best = min(found, key=lambda one: float(one.cost))
    if not best.success:
        _log.warning(
            "The search for the map from raw scores to opinion scores did not converge in %d steps: the best curve so "
            "far stands.",
            best.nfev,
        )
    curve = family.curve(best.x)
    return pairs.parameters(curve.rise, -curve.rise * curve.mean, curve.centre, curve.width)


class _Curve(NamedTuple):
    """A sigmoid of one centre and width, less its mean over the scores, and the rise that fits the opinions best."""

    centre: float
    width: float
    mean: float
    shape: _Array
    rise: float


class _Family:
    """Curves of all centres and widths, each with its best rise and lower asymptote, which have a closed form.

    Points are the centre's place, -1..1 from the lowest allowed to the highest, and the logarithm of the width. Scores
    ``u``, ascending, and opinions ``v`` have mean 0 and variance 1.
    """

    def __init__(self, u: _Array, v: _Array) -> None:
        self.u = u
        self.v = v
        self.middle, self.half = (u[-1] + u[0]) / 2, (u[-1] - u[0]) / 2
        widest = _LINEAR_WIDTH * max(1.0, float(np.abs(u).max()) / 3)
        self.bounds = ([-1.0, np.log(_NARROWEST)], [1.0, np.log(widest)])

    def starts(self) -> list[_Array]:
        """Points of a grid that lead to the best: peaks of the correlation at a width, less than _MARGIN below it."""
        from scipy.special import expit

        peaks: list[tuple[float, _Array]] = []
        low, high = self.bounds[0][1], self.bounds[1][1]
        for log_width in np.linspace(low, high, 1 + int(np.ceil((high - low) / _LOG_STEP))):
            width = float(np.exp(log_width))
            steps = self.u / width
            places = np.unique(np.unique(np.floor(2 * steps))[:, None] + _AROUND) / 2
            room = max(1, _CELLS // len(steps))
            fits = []
            for first in range(0, len(places), room):
                shapes = expit(steps - places[first : first + room, None])
                shapes -= shapes.mean(1, keepdims=True)
                fits.append(shapes @ self.v / np.sqrt((shapes**2).sum(1) * len(steps)))
            fit = np.concatenate([[-1.0], *fits, [-1.0]])
            best = (fit[1:-1] >= fit[:-2]) & (fit[1:-1] > fit[2:]) & (fit[1:-1] > _FLAT)
            centres = (places[best] * width - self.middle) / (self.half + _OVERHANG * width)
            points = np.stack([centres.clip(-1, 1), np.full_like(centres, log_width)], axis=1)
            peaks += zip(fit[1:-1][best].tolist(), points, strict=True)
        peaks.sort(key=lambda peak: -peak[0])
        return [point for fit, point in peaks[:_STARTS] if fit > peaks[0][0] - _MARGIN]

    def curve(self, point: _Array) -> _Curve:
        """The curve at a point."""
        from scipy.special import expit

        width = float(np.exp(point[1]))
        centre = float(self.middle + point[0] * (self.half + _OVERHANG * width))
        shape = expit((self.u - centre) / width)
        mean = float(shape.mean())
        shape -= mean
        return _Curve(centre, width, mean, shape, max(float(shape @ self.v / (shape @ shape)), 0.0))

    def residual(self, point: _Array) -> _Array:
        """What the curve leaves of the opinions, and the pull to the middle; its squares sum to the share left."""
        curve = self.curve(point)
        return np.concatenate([(curve.rise * curve.shape - self.v) / len(self.v) ** 0.5, _PULL**0.5 * point])

    def jacobian(self, point: _Array) -> _Array:
        """Slopes of `residual`, ``(N + 2, 2)``, without the part along the curve, to which the residual is square.

        References:
            Kaufman, "A variable projection method for solving separable nonlinear least squares problems", BIT 1975.
        """
        curve = self.curve(point)
        sigmoid = curve.shape + curve.mean
        by_centre = -sigmoid * (1 - sigmoid) / curve.width
        by_width = by_centre * (self.u - curve.centre + point[0] * _OVERHANG * curve.width)
        slopes = np.stack([by_centre * (self.half + _OVERHANG * curve.width), by_width], axis=1)
        slopes -= slopes.mean(0)
        slopes -= np.outer(curve.shape, curve.shape @ slopes / (curve.shape @ curve.shape))
        return np.concatenate([curve.rise / len(self.v) ** 0.5 * slopes, _PULL**0.5 * np.eye(2)])
