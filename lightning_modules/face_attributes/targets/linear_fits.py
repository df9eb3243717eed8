"""Fits of the activations of a layer to labels, from sums alone: weighted means, weighted offsets, and a regression.

Every fit predicts ``offset + sum_j w_j u_j v_j`` or ``x B``, where u and x are combinations of the label columns, v and
the offset of the sums over faces. Products of sums with sums are then enough for losses, for any lambda and for each
fold, so that nothing of the size of a layer is touched again until a target is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.layer_sums import LayerStatistics
from lightning_modules.face_attributes.targets.mixture_weights import (
    CrossValidation,
    WeightProblem,
    candidate_lambdas,
    cholesky,
    cross_validated_lambda,
    gradient,
    loss_from_statistics,
    solve_weights,
)

Ridge = float | Literal["cv"]
WeightKind = Literal["paper", "centred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """What every fit says of itself.

    Attributes:
        ridge: Penalty of the fit; lambda of the weights, on sums over faces of a regression.
        loss: Mean squared error over the faces, without the penalty.
        variance: The same of the mean of all faces, the least that a constant reaches.
        tried: What cross-validation found; None if the penalty was given.
    """

    ridge: float
    loss: float
    variance: float
    tried: CrossValidation | None

    @property
    def explained(self) -> float:
        """Share of the variance that the fit explains; below 0 where it is worse than the mean."""
        return 1.0 - self.loss / self.variance if self.variance > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFit(_Fit):
    """One weight for each attribute.

    Attributes:
        weights: float64 ``(K,)``.
        loss_of_ones: The loss with every weight 1.
        gradient: Length of the gradient at the weights, relative to that at weights of 0.
    """

    weights: Tensor
    loss_of_ones: float
    gradient: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionFit(_Fit):
    """A ridge regression of all units on one, present and missing; the constant is not penalised.

    Attributes:
        coefficients: float64 ``(1 + 2 K, F)``.
    """

    coefficients: Tensor


class _Sums(NamedTuple):
    """Products of sums over a set of faces: label columns with each other, and with those of the fitted faces.

    Attributes:
        labels: ``(Z, Z)``.
        fitted: Cross sums of the fitted faces with themselves, ``(Z, Z)``.
        mixed: Cross sums of the fitted faces with those of this set, ``(Z, Z)``.
        own: Cross sums of this set with themselves, ``(Z, Z)``.
        energy: Sum of squared length of the activations.
    """

    labels: Tensor
    fitted: Tensor
    mixed: Tensor
    own: Tensor
    energy: Tensor

    @property
    def faces(self) -> float:
        return float(self.labels[0, 0])


def fit_weights(statistics: FaceStatistics, layer: str, kind: WeightKind, ridge: Ridge) -> WeightFit:
    """Fit one weight for each attribute.

    Args:
        statistics: From a pass over the training faces.
        layer: Layer of the network, or "pixels".
        kind: ``paper``, eq. 3 and 4: the means, weighted, divided by the number of attributes. ``centred``: the mean
            of all faces plus each attribute's offset from it, weighted, times how far the label is from its share.
        ridge: lambda, or "cv".

    Raises:
        ConfigurationError: If lambda is negative or too small, or "cv" lacks two folds with faces.
    """
    sums = statistics.layer(layer)
    whole = _whole(statistics, sums)
    maps = _maps(statistics, kind, whole.labels)
    problem = _problem(whole, maps)
    tried = None
    if ridge == "cv":
        folds = []
        for others, own in _folds(statistics, sums):
            fold_maps = _maps(statistics, kind, others.labels)
            folds.append((_problem(others, fold_maps), _problem(own, fold_maps), own.faces))
        tried = cross_validated_lambda(folds, candidate_lambdas(problem))
    chosen = tried.best if tried else float(ridge)
    weights = solve_weights(problem, chosen)
    least = torch.zeros_like(weights)
    return WeightFit(
        weights=weights,
        ridge=chosen,
        loss=float(loss_from_statistics(problem, weights)),
        loss_of_ones=float(loss_from_statistics(problem, torch.ones_like(weights))),
        variance=_variance(whole),
        gradient=float(gradient(problem, weights, chosen).norm() / gradient(problem, least).norm().clamp_min(1e-300)),
        tried=tried,
    )


def weight_problem(statistics: FaceStatistics, layer: str, kind: WeightKind) -> WeightProblem:
    """The quadratic that `fit_weights` minimises, over all faces."""
    whole = _whole(statistics, statistics.layer(layer))
    return _problem(whole, _maps(statistics, kind, whole.labels))


def fit_regression(statistics: FaceStatistics, layer: str, ridge: Ridge) -> RegressionFit:
    """Fit all units of a layer by a ridge regression on one, present and missing.

    Raises:
        ConfigurationError: If the penalty is negative or too small, or "cv" lacks two folds with faces.
    """
    sums = statistics.layer(layer)
    whole = _whole(statistics, sums)
    columns = statistics.columns.regressors
    tried = None
    if ridge == "cv":
        ridges = (whole.faces * torch.logspace(-6, 0, 25, dtype=torch.float64)).tolist()
        folds = _folds(statistics, sums)
        losses = torch.zeros(len(ridges), dtype=torch.float64)
        for others, own in folds:
            losses += torch.stack([_regression_loss(others, own, columns, value) for value in ridges])
        faces = sum(own.faces for _, own in folds)
        tried = CrossValidation(tuple(ridges), tuple((losses / faces).tolist()))
    chosen = tried.best if tried else float(ridge)
    if chosen < 0:
        raise ConfigurationError(f"lambda is {chosen}, but a penalty is 0 or above: raise it.")
    coefficients = torch.cholesky_solve(sums.cross[columns], _factor(whole.labels[columns, columns], chosen))
    loss = float(_regression_loss(whole, whole, columns, chosen) / whole.faces)
    return RegressionFit(coefficients=coefficients, ridge=chosen, loss=loss, variance=_variance(whole), tried=tried)


class _Maps(NamedTuple):
    """A fit as combinations of columns.

    Attributes:
        inputs: u from the label columns, ``(Z, K)``.
        directions: v from the cross sums of the fitted faces, ``(K, Z)``.
        offset: The offset from the same, ``(Z,)``.
    """

    inputs: Tensor
    directions: Tensor
    offset: Tensor


def centred_inputs(statistics: FaceStatistics, labels: Tensor) -> Tensor:
    """How far each label is from its share among the faces where it is known, as a combination of columns, (Z, K)."""
    columns = statistics.columns
    ones, count = labels[0], columns.attributes
    share = ones[columns.present] / (ones[0] - ones[columns.missing]).clamp_min(1.0)
    inputs = labels.new_zeros(columns.count, count)
    inputs[0] = -share
    inputs[columns.present] = torch.eye(count, dtype=torch.float64)
    inputs[columns.missing] = torch.diag(share)
    return inputs


def _maps(statistics: FaceStatistics, kind: WeightKind, labels: Tensor) -> _Maps:
    columns = statistics.columns
    count, total = columns.attributes, columns.count
    faces = labels[0, columns.members]
    directions = labels.new_zeros(count, total)
    directions[:, columns.members] = torch.diag((faces > 0) / faces.clamp_min(1.0))
    offset = labels.new_zeros(total)
    if kind == "paper":
        inputs = labels.new_zeros(total, count)
        inputs[columns.shares] = torch.eye(count, dtype=torch.float64)
        return _Maps(inputs, directions, offset)
    offset[0] = 1.0 / labels[0, 0].clamp_min(1.0)
    directions[faces > 0] -= offset
    return _Maps(centred_inputs(statistics, labels), directions, offset)


def _problem(sums: _Sums, maps: _Maps) -> WeightProblem:
    """The mean squared error over the faces of ``sums`` as a quadratic in the weights."""
    inputs, directions, offset = maps
    faces = max(sums.faces, 1.0)
    cross = ((directions @ sums.mixed) * inputs.T).sum(1)
    cross = cross - (directions @ sums.fitted @ offset) * (inputs.T @ sums.labels[0])
    energy = sums.energy - 2.0 * offset @ sums.mixed[:, 0] + sums.faces * offset @ sums.fitted @ offset
    return WeightProblem(
        shares=inputs.T @ sums.labels @ inputs / faces,
        gram=directions @ sums.fitted @ directions.T,
        cross=cross / faces,
        energy=energy / faces,
    )


def _regression_loss(fitted: _Sums, own: _Sums, columns: slice, ridge: float) -> Tensor:
    """Sum of squared errors on the faces of ``own`` of the regression on those of ``fitted``."""
    factor = _factor(fitted.labels[columns, columns], ridge)
    linear = torch.cholesky_solve(own.mixed[columns, columns], factor).trace()
    inverse = torch.cholesky_inverse(factor)
    quadratic = (own.labels[columns, columns] * (inverse @ own.fitted[columns, columns] @ inverse)).sum()
    return own.energy - 2.0 * linear + quadratic


def _factor(labels: Tensor, ridge: float) -> Tensor:
    penalty = torch.full((len(labels),), ridge, dtype=torch.float64)
    penalty[0] = 0.0
    return cholesky(labels + torch.diag(penalty), ridge)


def _variance(sums: _Sums) -> float:
    """Mean squared distance of the activations to their mean."""
    return float(sums.energy / sums.faces - sums.fitted[0, 0] / sums.faces**2)


def _whole(statistics: FaceStatistics, sums: LayerStatistics) -> _Sums:
    everything = sums.with_total.sum(0)
    return _Sums(statistics.labels.sum(0), everything, everything, everything, sums.energy.sum())


def _folds(statistics: FaceStatistics, sums: LayerStatistics) -> list[tuple[_Sums, _Sums]]:
    """For each fold with faces: all other faces, and its own as seen by a fit on the others."""
    pairs = []
    whole = _whole(statistics, sums)
    for labels, with_total, own, energy in zip(
        statistics.labels, sums.with_total, sums.with_itself, sums.energy, strict=True
    ):
        if not 0 < float(labels[0, 0]) < whole.faces:
            continue
        fitted = whole.own - with_total - with_total.T + own
        others = _Sums(whole.labels - labels, fitted, fitted, fitted, whole.energy - energy)
        pairs.append((others, _Sums(labels, fitted, with_total.T - own, own, energy)))
    if len(pairs) < 2:
        raise ConfigurationError(
            f"Cross-validation needs two folds with faces, but there are {len(pairs)}: give lambda as a number, or "
            "collect the statistics with more folds or more faces."
        )
    return pairs
