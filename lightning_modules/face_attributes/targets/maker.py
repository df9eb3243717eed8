"""Wanted activations for wanted attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import PRESENT
from lightning_modules.face_attributes.statistics.collecting import PIXELS, FaceStatistics
from lightning_modules.face_attributes.targets.completion import Completion, agreement, complete
from lightning_modules.face_attributes.targets.linear_fits import (
    RegressionFit,
    Ridge,
    WeightFit,
    WeightKind,
    fit_regression,
    fit_weights,
)
from lightning_modules.face_attributes.targets.residual_noise import ResidualNoise, seeded_normal

TargetMode = Literal["mean", "paper", "paper_equal", "centred", "regression", "product", "sample", "nearest"]


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How targets are made, beside their mode.

    Attributes:
        ridge: Weight of the ridge penalty: lambda of eq. 3 for `paper` and `centred`, on sums over faces for
            `regression` and `sample`; "cv" takes the best of a path by cross-validation over the folds.
        contrast: Factor of the distance to the mean of all faces, for `centred`, `regression`, `product`, `sample`.
        completion: What attributes of which the request says nothing are taken to be: ``expected``, their expectation
            given the others; ``likely``, what is most probable given the others, decided one by one; ``alike``, those
            of the real face whose labels agree best with the request.
        paper_draw: ``means`` adds the means of the Gaussians (eq. 4), ``samples`` draws from them (eq. 2).
        neighbours: Faces that `nearest` combines.
        rank: Number of directions of the noise of `sample`.
        psi: Scale of the noise of `sample`; draws beyond two deviations are drawn in.
        diagonal: Scale of the part of that noise that is independent in each unit.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    ridge: Ridge = "cv"
    contrast: float = 1.0
    completion: Completion = "likely"
    paper_draw: Literal["means", "samples"] = "means"
    neighbours: int = 5
    rank: int = 64
    psi: float = 0.7
    diagonal: float = 0.5

    def __post_init__(self) -> None:
        for name, least in (("contrast", 0), ("neighbours", 1), ("rank", 1), ("psi", 0), ("diagonal", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but it is at least {least}: raise it.")
        if self.ridge != "cv" and self.ridge < 0:
            raise ConfigurationError(f'ridge is {self.ridge}, but a penalty is 0 or above: raise it or write "cv".')


class TargetMaker:
    """Makes targets for any number of batches; what they share is computed once.

    Args:
        statistics: From a pass over training faces.
        mode: How the targets are made.
        options: None takes the defaults.
        layers: Layers to make targets for; None takes all that the statistics hold.

    Raises:
        ConfigurationError: If there is no such mode, layer or option.
    """

    def __init__(
        self,
        statistics: FaceStatistics,
        mode: TargetMode,
        options: TargetOptions | None = None,
        layers: Sequence[str] | None = None,
    ) -> None:
        if mode not in get_args(TargetMode):
            raise ConfigurationError(f'There is no mode "{mode}": write one of {", ".join(get_args(TargetMode))}.')
        self.statistics, self.mode, self.options = statistics, mode, options or TargetOptions()
        self.layers = list(statistics.layers) if layers is None else list(layers)
        self.weight_fits: dict[str, WeightFit] = {}
        self.regressions: dict[str, RegressionFit] = {}
        self._centres = {name: statistics.global_mean(name) for name in self.layers}
        self._parts: dict[str, _Gaussians] = {}
        self._noise: ResidualNoise | None = None
        self._prepare()

    def __call__(self, attributes: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Targets of a batch; arguments and result as of `make_targets`."""
        count = self.statistics.columns.attributes
        if attributes.dim() != 2 or attributes.shape[1] != count:
            raise ConfigurationError(
                f"Requests have the shape {tuple(attributes.shape)} but the statistics know {count} attributes: give "
                "(B, K) in the order of the schema that the statistics were collected with."
            )
        own = torch.zeros(len(attributes), dtype=torch.int64) if seeds is None else seeds
        # Row by row: a product of many rows rounds otherwise than one of a single row.
        rows = [self._row(row, int(seed)) for row, seed in zip(attributes.cpu(), own, strict=True)]
        return {
            name: torch.stack([row[name] for row in rows]) if rows else torch.zeros(0, len(self._centres[name]))
            for name in self.layers
        }

    def _prepare(self) -> None:
        for name in self.layers:
            if self.mode in ("paper", "centred"):
                kind: WeightKind = "paper" if self.mode == "paper" else "centred"
                self.weight_fits[name] = fit_weights(self.statistics, name, kind, self.options.ridge)
            if self.mode in ("regression", "sample"):
                self.regressions[name] = fit_regression(self.statistics, name, self.options.ridge)
            if self.mode in ("paper", "paper_equal", "centred", "product"):
                self._parts[name] = _gaussians(self.statistics, name)
        if self.mode == "sample":
            coefficients = {name: fit.coefficients for name, fit in self.regressions.items()}
            self._noise = ResidualNoise(self.statistics, coefficients, self.options.rank)

    def _row(self, attributes: Tensor, seed: int) -> dict[str, Tensor]:
        if self.mode == "mean":
            return {name: centre.float() for name, centre in self._centres.items()}
        if self.mode == "nearest":
            return self._nearest(attributes)
        if self.mode in ("paper", "paper_equal"):
            return {name: self._mixture(name, attributes, seed).float() for name in self.layers}
        return {name: self._additive(name, attributes, seed) for name in self.layers}

    def _additive(self, layer: str, attributes: Tensor, seed: int) -> Tensor:
        """Mean of all faces plus what the attributes add, times the contrast, plus noise in mode `sample`."""
        added = {"centred": self._offsets, "product": self._product}.get(self.mode, self._regressed)
        target = (self._centres[layer] + self.options.contrast * added(layer, attributes)).float()
        if self._noise is not None:
            target = target + self._noise.draw(layer, seed, self.options.psi, self.options.diagonal)
        return target.clamp_min(0.0) if self.statistics.layer(layer).rectified else target

    def _mixture(self, layer: str, attributes: Tensor, seed: int) -> Tensor:
        """Eq. 4, or a draw from eq. 2; where no attribute is wanted, the mean of all faces."""
        chosen = attributes == PRESENT
        if not chosen.any():
            return self._centres[layer]
        parts = self._parts[layer]
        values = parts.means[:, chosen]
        if self.options.paper_draw == "samples":
            for column, number in enumerate(chosen.nonzero()[:, 0].tolist()):
                # eq. 2 draws with the covariance, so a deviation multiplies the noise, not the variance
                noise = seeded_normal(len(values), seed, f"{layer}/{number}").double()
                values[:, column] += parts.deviations[:, number] * noise
        if self.mode == "paper":
            values = values * self.weight_fits[layer].weights[chosen]
        return values.sum(1) / int(chosen.sum())

    def _offsets(self, layer: str, attributes: Tensor) -> Tensor:
        """The offset of each attribute from the mean of all faces, weighted, times how far it is from its share."""
        completed = complete(self.statistics, attributes, self.options.completion)
        count, share = len(attributes), self.statistics.present_share
        distance = completed[1 : 1 + count] - share * (1.0 - completed[1 + count :])
        parts = self._parts[layer]
        weights = self.weight_fits[layer].weights * distance
        return parts.means @ weights - self._centres[layer] * weights.sum()

    def _regressed(self, layer: str, attributes: Tensor) -> Tensor:
        completed = complete(self.statistics, attributes, self.options.completion)
        return completed @ self.regressions[layer].coefficients - self._centres[layer]

    def _product(self, layer: str, attributes: Tensor) -> Tensor:
        """The mean of the product of the Gaussians of the wanted attributes, from the mean of all faces."""
        chosen = (attributes == PRESENT) & (self.statistics.counts() > 0)
        if not chosen.any():
            return torch.zeros_like(self._centres[layer])
        parts = self._parts[layer]
        precision = 1.0 / (parts.deviations[:, chosen].square() + parts.floor[:, None])
        return (precision * parts.means[:, chosen]).sum(1) / precision.sum(1) - self._centres[layer]

    def _nearest(self, attributes: Tensor) -> dict[str, Tensor]:
        """Convex combination of the kept faces whose labels agree best, each by how far it beats the first left out."""
        scores = agreement(self.statistics, attributes)
        order = scores.sort(descending=True, stable=True).indices
        count = min(self.options.neighbours, len(order))
        rows = order[:count]
        margin = scores[rows] - scores[order[min(count, len(order) - 1)]]
        weights = (margin + 1e-9) / (margin + 1e-9).sum()
        kept = self.statistics.kept
        return {name: weights.float() @ kept.layer(name, rows) for name in self.layers}


class _Gaussians(NamedTuple):
    """The Gaussians of a layer.

    Attributes:
        means: float64 ``(F, K)``.
        deviations: float64 ``(F, K)``.
        floor: Least variance of each unit in a product, a thousandth of that over all faces, float64 ``(F,)``.
    """

    means: Tensor
    deviations: Tensor
    floor: Tensor


def _gaussians(statistics: FaceStatistics, layer: str) -> _Gaussians:
    floor = 1e-3 * statistics.global_variance(layer)
    return _Gaussians(statistics.means(layer), statistics.variances(layer).sqrt(), floor + 1e-12 * floor.mean() + 1e-30)


def make_targets(
    statistics: FaceStatistics,
    attributes: Tensor,
    mode: TargetMode,
    options: TargetOptions | None = None,
    seeds: Tensor | None = None,
    layers: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """Activations that faces with the wanted attributes shall have.

    Args:
        statistics: From a pass over training faces.
        attributes: int8 ``(B, K)``: 1 wanted, 0 wanted to be absent, -1 not said.
        mode: How the targets are made.
        options: None takes the defaults.
        seeds: int64 ``(B,)``, the seed of each face's own noise; None takes 0. A target depends on its own row alone.
        layers: Layers to make targets for; None takes all that the statistics hold.

    Returns:
        By layer, float32 ``(B, F)`` on the CPU.
    """
    return TargetMaker(statistics, mode, options, layers)(attributes, seeds)


def pixel_regression(
    statistics: FaceStatistics, attributes: Tensor, ridge: Ridge = "cv", completion: Completion = "likely"
) -> Tensor:
    """Faces by a linear regression of pixels on attributes, without any network: a blurred ghost to compare with.

    Args:
        statistics: From a pass over training faces.
        attributes: int8 ``(B, K)``: 1 wanted, 0 wanted to be absent, -1 not said.
        ridge: Penalty on sums over faces, or "cv".
        completion: What attributes of which the request says nothing are taken to be.

    Returns:
        float32 ``(B, 3, T, T)``, RGB in 0..1, of the size of the thumbnails.
    """
    options = TargetOptions(ridge=ridge, completion=completion)
    targets = make_targets(statistics, attributes, "regression", options, layers=[PIXELS])
    side = statistics.thumbnail
    return targets[PIXELS].clamp(0.0, 1.0).view(-1, 3, side, side)
