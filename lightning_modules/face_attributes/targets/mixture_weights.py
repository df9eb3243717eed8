"""The weights of the Gaussians: the exact minimum of eq. 3.

Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), predict the activations of face i by
``sum_j w_j u_ij v_j``. By eq. 4, u_ij is one over the number of attributes of face i if it has attribute j, else 0, and
v_j is the mean of attribute j. They minimise over w the mean squared error plus ``lambda ||w||^2`` (eq. 3) by gradient
descent. The error is a quadratic in w, whose coefficients are sums over faces, so its minimum is the solution of K
linear equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

_CONDITION = 1e13  # of a singular matrix rounding leaves 1e14 or more


@dataclass(frozen=True, slots=True)
class WeightProblem:
    """The mean squared error of a weighted sum of directions, as a quadratic in the K weights.

    Attributes:
        shares: S, mean over faces of ``u_i u_i'``, float64 ``(K, K)``.
        gram: Products of the directions ``v_j . v_k`` (the M'M of the means), float64 ``(K, K)``.
        cross: b, mean over faces of ``u_ij v_j . phi_i``, float64 ``(K,)``.
        energy: c, mean over faces of ``||phi_i||^2``, float64, no dimension.
    """

    shares: Tensor
    gram: Tensor
    cross: Tensor
    energy: Tensor

    @property
    def hessian(self) -> Tensor:
        """Half the second derivative of the error: the product of S and M'M element by element, ``(K, K)``."""
        return self.shares * self.gram


def loss_from_statistics(problem: WeightProblem, weights: Tensor, ridge: float = 0.0) -> Tensor:
    """The value of eq. 3 at some weights ``(K,)``: ``c - 2 w'b + w'(S o M'M) w + ridge ||w||^2``."""
    quadratic = weights @ problem.hessian @ weights
    return problem.energy - 2.0 * weights @ problem.cross + quadratic + ridge * weights @ weights


def gradient(problem: WeightProblem, weights: Tensor, ridge: float = 0.0) -> Tensor:
    """The gradient of eq. 3 at some weights, ``(K,)``."""
    return 2.0 * (problem.hessian @ weights + ridge * weights - problem.cross)


def solve_weights(problem: WeightProblem, ridge: float) -> Tensor:
    """The exact minimum of eq. 3, ``[S o M'M + ridge I] w = b``, by Cholesky and one step of refinement.

    Args:
        problem: The quadratic.
        ridge: lambda, 0 or above. Above 0 the minimum is unique, since S o M'M has no negative eigenvalue.

    Returns:
        float64 ``(K,)``; 0 for an attribute that no face has.

    Raises:
        ConfigurationError: If ``ridge`` is negative, or so small that the equations cannot be told from singular ones.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> solve_weights(WeightProblem(one, 4 * one, 4 * one[0], 4 * one[0, 0]), 0.0).round(decimals=6).tolist()
        [1.0]
    """
    if ridge < 0:
        raise ConfigurationError(f"lambda is {ridge}, but a penalty is 0 or above: raise it.")
    active = problem.hessian.diagonal() > 0
    weights = torch.zeros_like(problem.cross)
    if not active.any():
        return weights
    matrix = problem.hessian[active][:, active] + ridge * torch.eye(int(active.sum()), dtype=torch.float64)
    wanted = problem.cross[active]
    factor = cholesky(matrix, ridge)
    solution = torch.cholesky_solve(wanted[:, None], factor)[:, 0]
    solution += torch.cholesky_solve((wanted - matrix @ solution)[:, None], factor)[:, 0]
    weights[active] = solution
    return weights


def cholesky(matrix: Tensor, ridge: float) -> Tensor:
    """The lower factor of a positive definite matrix.

    Raises:
        ConfigurationError: If the matrix is singular up to rounding: its condition number, rows and columns scaled to a
            diagonal of 1, is above 1e13; the message names the ridge to raise.
    """
    scale = matrix.diagonal().rsqrt()
    values = torch.linalg.eigvalsh(matrix * scale[:, None] * scale)
    if not bool(values[0] * _CONDITION > values[-1]):  # whether a factor exists is up to rounding then
        raise ConfigurationError(
            f"With lambda {ridge:g} the attributes do not determine the fit, since some always occur together: give "
            "a larger lambda or take cv."
        )
    factor: Tensor = torch.linalg.cholesky(matrix)
    return factor


def lambda_path(problem: WeightProblem, ridges: Sequence[float]) -> Tensor:
    """The minimum for each of many lambdas above 0, ``(len(ridges), K)``, from one eigendecomposition."""
    values, vectors = torch.linalg.eigh(problem.hessian)
    penalties = torch.tensor(ridges, dtype=torch.float64)[:, None]
    path: Tensor = ((vectors.T @ problem.cross) / (values.clamp_min(0.0) + penalties)) @ vectors.T
    return path


def candidate_lambdas(problem: WeightProblem, count: int = 41) -> list[float]:
    """Lambdas from 1e-10 to 10 times the mean of the diagonal of S o M'M, in equal ratios."""
    scale = float(problem.hessian.diagonal().mean())
    return (max(scale, 1e-300) * torch.logspace(-10, 1, count, dtype=torch.float64)).tolist()


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """How each lambda does on faces that it was not fitted on.

    Attributes:
        ridges: The lambdas tried.
        losses: Mean squared error on the faces of the fold left out, averaged over faces, one for each lambda.
    """

    ridges: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def best(self) -> float:
        """The lambda of the lowest loss; of equal ones the largest."""
        return max(zip(self.ridges, self.losses, strict=True), key=lambda pair: (-pair[1], pair[0]))[0]


def cross_validated_lambda(
    folds: Sequence[tuple[WeightProblem, WeightProblem, float]], ridges: Sequence[float]
) -> CrossValidation:
    """Try every lambda on every fold.

    Args:
        folds: For each fold the problem of all other faces, that of its own faces with the directions of the others,
            and the number of its faces.
        ridges: Lambdas above 0.
    """
    total = torch.zeros(len(ridges), dtype=torch.float64)
    for others, own, faces in folds:
        path = lambda_path(others, ridges)
        total += faces * torch.stack([loss_from_statistics(own, weights) for weights in path])
    faces = sum(count for _, _, count in folds)
    return CrossValidation(tuple(ridges), tuple((total / faces).tolist()))
