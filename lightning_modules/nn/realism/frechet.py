"""Fréchet distance of two sets of features, as if both were normal (Heusel et al., NeurIPS 2017: FID)."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.estimate import Estimate, around


def frechet_distance(features: Tensor, real: Tensor, seed: int = 0, draws: int = 12) -> Estimate:
    """``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` of means m and covariances S.

    It falls as pictures are added, so that only sets of equally many can be compared. The interval is 1.96 standard
    deviations of a bootstrap of both sets.

    Args:
        features: Of made pictures, ``(N, F)``, N > F.
        real: Of real pictures, ``(M, F)``, M > F.
        seed: Of the bootstrap.
        draws: Of it.

    Raises:
        ConfigurationError: If there are not more pictures than features, so that a covariance has no full rank.

    Example:
        >>> points = torch.randn((50, 3), generator=torch.Generator().manual_seed(0))
        >>> round(frechet_distance(points, points).value, 4), round(frechet_distance(points + 2, points).value, 4)
        (0.0, 12.0)
    """
    width, least = features.shape[1], min(len(features), len(real))
    if least <= width:
        raise ConfigurationError(
            f"a Fréchet distance of {width} features needs more than {width} pictures of either kind, but there are "
            f"{len(features)} made and {len(real)} real ones: give more, or read the kernel distance"
        )
    first, second = features.double(), real.double()
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(draws):
        rows = torch.randint(len(first), (len(first),), generator=generator)
        columns = torch.randint(len(second), (len(second),), generator=generator)
        values.append(_distance(first[rows], second[columns]))
    return around(_distance(first, second), torch.tensor(values), len(features), least=0.0)


def _distance(first: Tensor, second: Tensor) -> float:
    one, other = first.T.cov(), second.T.cov()
    values, vectors = torch.linalg.eigh(other)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(root @ one @ root).clamp(min=0).sqrt().sum()
    apart = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    distance: Tensor = apart + one.trace() + other.trace() - 2 * shared
    return max(0.0, distance.item())
