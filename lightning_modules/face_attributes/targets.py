"""Wanted activations for wanted attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from lightning_modules.face_attributes.statistics import FaceStatistics

TargetMode = Literal["mean", "paper", "paper_equal", "centred", "regression", "product", "sample", "nearest"]


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How targets are made, beside their mode.

    Attributes:
        ridge: Weight of the ridge penalty: lambda of eq. 3 for `paper` and `centred`, on sums over faces for
            `regression` and `sample`; "cv" takes the best of a path by cross-validation over the folds.
        contrast: Factor of the distance to the mean of all faces, for `centred`, `regression`, `product`, `sample`.
        completion: What attributes of which the request says nothing are taken to be: ``expected``, their expectation
            given the others; ``alike``, those of the real face whose labels agree best with the request.
        paper_draw: ``means`` adds the means of the Gaussians (eq. 4), ``samples`` draws from them (eq. 2).
        neighbours: Faces that `nearest` combines.
        rank: Number of directions of the noise of `sample`.
        psi: Scale of the noise of `sample`; draws beyond two deviations are drawn in.
        diagonal: Scale of the part of that noise that is independent in each unit.
    """

    ridge: float | Literal["cv"] = "cv"
    contrast: float = 1.0
    completion: Literal["expected", "alike"] = "expected"
    paper_draw: Literal["means", "samples"] = "means"
    neighbours: int = 5
    rank: int = 64
    psi: float = 0.7
    diagonal: float = 0.5


class TargetMaker:
    """Makes targets for any number of batches; what they share is computed once.

    Args:
        statistics: From a pass over training faces.
        mode: How the targets are made.
        options: None takes the defaults.
        layers: Layers to make targets for; None takes all that the statistics hold.
    """

    def __init__(
        self,
        statistics: FaceStatistics,
        mode: TargetMode,
        options: TargetOptions | None = None,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.statistics, self.mode, self.options = statistics, mode, options or TargetOptions()
        self.layers = list(statistics.layers) if layers is None else list(layers)

    def __call__(self, attributes: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Targets of a batch; arguments and result as of `make_targets`."""
        raise NotImplementedError


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
