"""Noise for targets with the covariance of what a regression leaves unexplained, alike in all layers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.label_columns import index_hash

MOST_FACES = 800  # residuals taken: a rank of 64 needs no more, and their products cost the square of it
TRUNCATION = 2.0  # deviations: beyond them faces get strange before they get different


class _LayerNoise(NamedTuple):
    """Directions of a layer, float32 ``(rank, F)``, and the deviation of each unit beside them, float32 ``(F,)``."""

    directions: Tensor
    rest: Tensor


class ResidualNoise:
    """Low rank and diagonal: a few directions that all layers share, and independent noise of each unit.

    The residuals of the kept faces are n samples of the wanted distribution in each layer. The main directions are
    those of all layers at once, each scaled to the same variance: one draw moves every layer the same way, as another
    face of the same attributes would.

    Args:
        statistics: From a pass over the training faces.
        coefficients: By layer, those of the regression whose residuals are taken, float64 ``(1 + 2 K, F)``.
        rank: Number of shared directions; at most as many as there are kept faces.
    """

    def __init__(self, statistics: FaceStatistics, coefficients: Mapping[str, Tensor], rank: int) -> None:
        count = min(len(statistics.kept), MOST_FACES)
        rows = torch.linspace(0, len(statistics.kept) - 1, count).long()
        products = torch.zeros(count, count, dtype=torch.float64)
        for name in sorted(coefficients):
            residual = _residual(statistics, name, rows, coefficients[name])
            product = (residual @ residual.T).double()
            products += product / product.trace().clamp_min(1e-30)
        vectors = torch.linalg.eigh(products).eigenvectors[:, -min(rank, count) :]
        # The sign of an eigenvector is free: fix it, so that a seed gives the same face on any machine.
        vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        self._layers = {
            name: _layer_noise(_residual(statistics, name, rows, coefficients[name]), vectors.float())
            for name in coefficients
        }
        self.rank = vectors.shape[1]

    def draw(self, layer: str, seed: int, scale: float, diagonal: float) -> Tensor:
        """The noise of one face in one layer, float32 ``(F,)``.

        Args:
            layer: Its name.
            seed: Seed of the face; the shared part is the same draw in every layer.
            scale: Factor of all of it.
            diagonal: Further factor of the independent part.
        """
        directions, rest = self._layers[layer]
        shared = _truncated(self.rank, seed, "shared") @ directions
        if diagonal:
            shared = shared + diagonal * rest * _truncated(len(rest), seed, layer)
        return scale * shared


def seeded_normal(count: int, seed: int, purpose: str) -> Tensor:
    """Draws from a standard normal distribution that depend on the seed and purpose alone, float32 ``(count,)``."""
    mixed = int(index_hash(torch.tensor(seed), zlib.crc32(purpose.encode())))
    return torch.randn(count, generator=torch.Generator().manual_seed(mixed))


def _truncated(count: int, seed: int, purpose: str) -> Tensor:
    return seeded_normal(count, seed, purpose).clamp(-TRUNCATION, TRUNCATION)


def _residual(statistics: FaceStatistics, layer: str, rows: Tensor, coefficients: Tensor) -> Tensor:
    """What the regression leaves of some kept faces, centred, float32 ``(n, F)``."""
    columns, kept = statistics.columns, statistics.kept
    inputs = columns.of(kept.attributes[rows])[:, columns.regressors].float()
    residual = kept.layer(layer, rows).addmm_(inputs, coefficients.float(), alpha=-1.0)
    return residual.sub_(residual.mean(0))


def _layer_noise(residual: Tensor, vectors: Tensor) -> _LayerNoise:
    directions = vectors.T @ residual / math.sqrt(len(residual))
    rest = residual.square().mean(0) - directions.square().sum(0)
    return _LayerNoise(directions, rest.clamp_min(0.0).sqrt())
