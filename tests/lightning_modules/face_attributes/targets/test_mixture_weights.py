"""The exact weights of eq. 3 against direct computation, differences, gradient descent and the paper's step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.label_columns import index_hash
from lightning_modules.face_attributes.targets.linear_fits import fit_regression, fit_weights, weight_problem
from lightning_modules.face_attributes.targets.mixture_weights import (
    WeightProblem,
    candidate_lambdas,
    cholesky,
    gradient,
    lambda_path,
    loss_from_statistics,
    solve_weights,
)
from tests.lightning_modules.face_attributes.collected import collected

FACES, ATTRIBUTES, UNITS = 150, 9, 40
RIDGE = 0.3
PAPER_STEP = 1e-11  # the authors' learning rate


def labels_and_activations(faces: int = FACES, attributes: int = ATTRIBUTES) -> tuple[Tensor, Tensor]:
    """Attributes 2 and 3 never occur; face 0 has none; activations are pre-ReLU values around 1."""
    generator = torch.Generator().manual_seed(5)
    share = torch.linspace(0.1, 0.7, attributes)
    labels = (torch.rand(faces, attributes, generator=generator) < share).to(torch.int8)
    labels[0] = 0
    if attributes > 3:
        labels[:, 2:4] = 0
        labels[torch.rand(faces, generator=generator) < 0.2, 5] = -1
    offsets = torch.randn(attributes, UNITS, generator=generator, dtype=torch.float64)
    noise = torch.randn(faces, UNITS, generator=generator, dtype=torch.float64)
    return labels, 1.0 + (labels == 1).double() @ offsets + noise


def collect(labels: Tensor, activations: Tensor, folds: int = 5) -> FaceStatistics:
    return collected({"fc6": activations}, labels, folds=folds)


def shares(labels: Tensor) -> Tensor:
    present = (labels == 1).double()
    return present / present.sum(1, keepdim=True).clamp_min(1)


def means(labels: Tensor, activations: Tensor) -> Tensor:
    present = (labels == 1).double()
    return (present.T @ activations / present.sum(0).clamp_min(1)[:, None]).T


def direct_loss(labels: Tensor, activations: Tensor, ridge: float) -> Callable[[Tensor], Tensor]:
    """Eq. 3, face by face, with the means given by all faces."""
    parts, directions = shares(labels), means(labels, activations)

    def loss(weights: Tensor) -> Tensor:
        error = activations - (parts * weights) @ directions.T
        return error.square().sum(1).mean() + ridge * weights.square().sum()

    return loss


def numerical_gradient(loss: Callable[[Tensor], Tensor], weights: Tensor) -> Tensor:
    """Central differences."""
    moves = 1e-5 * weights.abs().clamp_min(1.0)
    return torch.stack([(loss(weights + m) - loss(weights - m)) / (2 * m.sum()) for m in moves.diag()])


def descent(problem: WeightProblem, ridge: float, step: float, steps: int) -> tuple[Tensor, list[float]]:
    """Gradient descent over all faces from ones: the last weights, and the loss before each step and after the last."""
    weights = torch.ones_like(problem.cross)
    losses = [float(loss_from_statistics(problem, weights, ridge))]
    for _ in range(steps):
        weights = weights - step * gradient(problem, weights, ridge)
        losses.append(float(loss_from_statistics(problem, weights, ridge)))
    return weights, losses


def descent_over_images(labels: Tensor, activations: Tensor, ridge: float, step: float) -> Tensor:
    """The paper's way: 2,000 stochastic steps from ones, on 25 faces each, drawn with replacement."""
    parts, directions = shares(labels), means(labels, activations)
    generator = torch.Generator().manual_seed(0)
    weights = torch.ones(labels.shape[1], dtype=torch.float64)
    for _ in range(2000):
        rows = torch.randint(len(activations), (25,), generator=generator)
        error = (parts[rows] * weights) @ directions.T - activations[rows]
        weights = weights - step * (2 * (parts[rows] * (error @ directions)).mean(0) + 2 * ridge * weights)
    return weights


def test_loss_from_statistics_is_the_direct_loss() -> None:
    labels, activations = labels_and_activations()
    problem = weight_problem(collect(labels, activations), "fc6", "paper")
    loss = direct_loss(labels, activations, RIDGE)
    generator = torch.Generator().manual_seed(0)
    for weights in torch.randn(4, ATTRIBUTES, generator=generator, dtype=torch.float64) * 3:
        assert float(loss_from_statistics(problem, weights, RIDGE)) == pytest.approx(float(loss(weights)), rel=1e-12)


def test_gradient_is_that_of_differences_and_of_autograd() -> None:
    labels, activations = labels_and_activations()
    problem = weight_problem(collect(labels, activations), "fc6", "paper")
    loss = direct_loss(labels, activations, RIDGE)
    weights = torch.linspace(-2, 2, ATTRIBUTES, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(loss(weights), weights)
    found = gradient(problem, weights.detach(), RIDGE)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    differences = numerical_gradient(loss, weights.detach())
    assert float((found - differences).norm() / found.norm()) < 1e-6


@pytest.mark.parametrize("kind", ["paper", "centred"])
def test_gradient_at_the_solution_is_zero(kind: str) -> None:
    labels, activations = labels_and_activations()
    fit = fit_weights(collect(labels, activations), "fc6", "paper" if kind == "paper" else "centred", 1e-3)
    assert fit.gradient < 1e-10
    assert fit.loss < fit.loss_of_ones
    assert not fit.weights[2:4].any()


def test_full_batch_descent_converges_to_the_solution() -> None:
    labels, activations = labels_and_activations()
    problem = weight_problem(collect(labels, activations), "fc6", "paper")
    exact = solve_weights(problem, RIDGE)
    step = 0.5 / (float(torch.linalg.eigvalsh(problem.hessian)[-1]) + RIDGE)
    found, losses = descent(problem, RIDGE, 1.9 * step, 3000)
    torch.testing.assert_close(found, exact, rtol=1e-8, atol=1e-8)
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(losses))


def test_path_holds_the_solution_of_each_lambda() -> None:
    labels, activations = labels_and_activations()
    problem = weight_problem(collect(labels, activations), "fc6", "paper")
    ridges = [1e-3, 0.1, 10.0]
    for ridge, weights in zip(ridges, lambda_path(problem, ridges), strict=True):
        torch.testing.assert_close(weights, solve_weights(problem, ridge), rtol=1e-8, atol=1e-10)


def test_one_attribute_that_all_faces_have_gets_weight_one() -> None:
    generator = torch.Generator().manual_seed(0)
    activations = 1.0 + torch.randn(30, 7, generator=generator, dtype=torch.float64)
    statistics = collect(torch.ones(30, 1, dtype=torch.int8), activations)
    assert fit_weights(statistics, "fc6", "paper", 0.0).weights.tolist() == pytest.approx([1.0], abs=1e-14)


def test_attributes_that_always_occur_together_need_a_penalty() -> None:
    labels, activations = labels_and_activations(attributes=2)
    labels[:, 1] = labels[:, 0]
    statistics = collect(labels, activations)
    with pytest.raises(ConfigurationError, match="larger lambda"):
        fit_weights(statistics, "fc6", "paper", 0.0)
    weights = fit_weights(statistics, "fc6", "paper", 1e-6).weights
    assert float(weights[0]) == pytest.approx(float(weights[1]), rel=1e-6)
    with pytest.raises(ConfigurationError, match="lambda is -1"):
        fit_weights(statistics, "fc6", "paper", -1.0)
    with pytest.raises(ConfigurationError, match="lambda is -1"):
        fit_regression(statistics, "fc6", -1.0)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_singular_matrix_is_refused_however_it_is_rounded(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(60, 40, generator=generator, dtype=torch.float64)
    rows[:, -1] = rows[:, seed]  # an attribute twice
    rows *= torch.logspace(-3, 0, 40, dtype=torch.float64)  # and rare ones
    matrix = scale * rows.T @ rows
    rounding = 4e-16 * (torch.rand(40, 40, generator=generator, dtype=torch.float64) - 0.5)
    matrix *= 1 + rounding + rounding.T
    with pytest.raises(ConfigurationError, match="larger lambda"):
        cholesky(matrix, 0.0)
    penalty = 1e-10 * matrix.diagonal().mean() * torch.eye(40, dtype=torch.float64)
    assert bool(cholesky(matrix + penalty, 1e-10).isfinite().all())


def folds_of(statistics: FaceStatistics) -> Tensor:
    """Fold of each face, as the statistics deal them."""
    return index_hash(torch.arange(statistics.faces), 0) % statistics.folds


def test_cross_validation_is_that_of_refits_on_the_faces() -> None:
    labels, activations = labels_and_activations()
    statistics = collect(labels, activations)
    fold = folds_of(statistics)
    fit = fit_weights(statistics, "fc6", "paper", "cv")
    assert fit.tried is not None
    for place in (10, 30):
        ridge, total = fit.tried.ridges[place], 0.0
        for number in range(5):
            own = fold == number
            directions = means(labels[~own], activations[~own])
            parts = shares(labels)
            design = parts[~own][:, :, None] * directions.T  # (N, K, F)
            matrix = torch.einsum("nkf,nlf->kl", design, design) / len(design)
            wanted = torch.einsum("nkf,nf->k", design, activations[~own]) / len(design)
            weights = torch.linalg.solve(matrix + ridge * torch.eye(ATTRIBUTES, dtype=torch.float64), wanted)
            error = activations[own] - (parts[own] * weights) @ directions.T
            total += float(error.square().sum())
        assert fit.tried.losses[place] == pytest.approx(total / FACES, rel=1e-9)
    assert fit.ridge == fit.tried.ridges[fit.tried.losses.index(min(fit.tried.losses))]


def test_cross_validated_regression_is_that_of_refits_on_the_faces() -> None:
    labels, activations = labels_and_activations()
    statistics = collect(labels, activations)
    fold = folds_of(statistics)
    fit = fit_regression(statistics, "fc6", "cv")
    assert fit.tried is not None
    inputs = torch.cat([torch.ones(FACES, 1), labels == 1, labels == -1], 1).double()
    penalty = torch.eye(inputs.shape[1], dtype=torch.float64)
    penalty[0, 0] = 0.0
    for place in (0, 12):
        ridge, total = fit.tried.ridges[place], 0.0
        for number in range(5):
            own = fold == number
            rest = inputs[~own]
            solution = torch.linalg.solve(rest.T @ rest + ridge * penalty, rest.T @ activations[~own])
            total += float((activations[own] - inputs[own] @ solution).square().sum())
        assert fit.tried.losses[place] == pytest.approx(total / FACES, rel=1e-9)
    direct = activations - inputs @ fit.coefficients
    assert fit.loss == pytest.approx(float(direct.square().sum(1).mean()), rel=1e-10)
    assert fit.variance == pytest.approx(float((activations - activations.mean(0)).square().sum(1).mean()), rel=1e-10)


def test_centred_loss_is_the_direct_loss() -> None:
    labels, activations = labels_and_activations()
    fit = fit_weights(collect(labels, activations), "fc6", "centred", 0.0)
    known = (labels >= 0).double()
    share = (labels == 1).double().sum(0) / known.sum(0)
    distance = ((labels == 1).double() - share) * known
    centre = activations.mean(0)
    offsets = (means(labels, activations).T - centre) * (labels == 1).any(0)[:, None]
    error = activations - centre - (distance * fit.weights) @ offsets
    assert fit.loss == pytest.approx(float(error.square().sum(1).mean()), rel=1e-10)
    assert 0.1 < fit.explained < 1.0


def test_cross_validation_without_folds_is_refused() -> None:
    statistics = collect(*labels_and_activations(), folds=1)
    for fit in (lambda: fit_weights(statistics, "fc6", "paper", "cv"), lambda: fit_regression(statistics, "fc6", "cv")):
        with pytest.raises(ConfigurationError, match="needs two folds with faces, but there are 0"):
            fit()


def test_the_step_of_the_paper_goes_nowhere(record_property: Callable[[str, object], None]) -> None:
    """2,000 steps of 1e-11, over all faces and over 25 images a step, beside the exact weights."""
    labels, activations = labels_and_activations(faces=400, attributes=30)
    statistics = collect(labels, activations)
    problem = weight_problem(statistics, "fc6", "paper")
    ridge = candidate_lambdas(problem)[20]
    exact = float(loss_from_statistics(problem, solve_weights(problem, ridge), ridge))
    start = float(loss_from_statistics(problem, torch.ones(30, dtype=torch.float64), ridge))
    weights, losses = descent(problem, ridge, PAPER_STEP, 2000)
    by_images = descent_over_images(labels, activations, ridge, PAPER_STEP)
    closed = (start - losses[-1]) / (start - exact)
    record_property("loss at w = 1", start)
    record_property("loss after 2000 steps of 1e-11", losses[-1])
    record_property("the same, 25 images a step", float(loss_from_statistics(problem, by_images, ridge)))
    record_property("loss at the exact w", exact)
    assert start > exact
    assert 0 < closed < 1e-6
    assert float((by_images - 1).abs().max()) < 1e-5
    assert math.isfinite(float(weights.sum()))


def test_descent_over_images_approaches_the_solution() -> None:
    labels, activations = labels_and_activations()
    problem = weight_problem(collect(labels, activations), "fc6", "paper")
    step = 0.05 / float(torch.linalg.eigvalsh(problem.hessian)[-1])
    found = descent_over_images(labels, activations, RIDGE, step)
    exact, start = solve_weights(problem, RIDGE), torch.ones(ATTRIBUTES, dtype=torch.float64)
    losses = [float(loss_from_statistics(problem, weights, RIDGE)) for weights in (exact, found, start)]
    assert losses[0] <= losses[1] < losses[0] + 0.05 * (losses[2] - losses[0])
