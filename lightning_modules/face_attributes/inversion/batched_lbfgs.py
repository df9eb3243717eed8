"""L-BFGS for a batch of independent problems: each has its own curvature and its own step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_SHRINK = 0.5  # of a step that went uphill
_TRIALS = 8  # steps tried in one direction
_SUFFICIENT = 1e-4  # share of the promised descent that a step must bring

# Losses (B,) and gradients (B, N) at points (B, N).
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


def minimise(evaluate: Evaluate, points: Tensor, steps: int, memory: int = 10) -> tuple[Tensor, Tensor]:
    """Lower the losses of B problems at once; none of them knows of the others.

    Args:
        evaluate: Losses and gradients at given points.
        points: Where to begin, float ``(B, N)``.
        steps: Steps of each problem.
        memory: Earlier steps that tell the curvature.

    Returns:
        The points reached, ``(B, N)``, and the losses after each step, ``(steps, B)``; no loss ever rises.

    References:
        Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.

    Example:
        >>> scales = torch.tensor([[1.0, 100.0]])
        >>> def bowl(x): return (scales * x.square()).sum(1), 2 * scales * x
        >>> reached, losses = minimise(bowl, torch.ones(1, 2), steps=20)
        >>> bool(losses[-1] < 1e-8)
        True
    """
    losses, gradients = evaluate(points)
    moves: list[Tensor] = []
    turns: list[Tensor] = []
    history = []
    for _ in range(steps):
        direction = -_inverse_curvature(gradients, moves, turns)
        reached, new_losses, new_gradients = _searched(evaluate, points, losses, gradients, direction, bool(moves))
        moves.append(reached - points)
        turns.append(new_gradients - gradients)
        del moves[:-memory], turns[:-memory]
        points, losses, gradients = reached, new_losses, new_gradients
        history.append(losses)
    return points, torch.stack(history) if history else losses.new_zeros(0, len(losses))


def _inverse_curvature(gradients: Tensor, moves: list[Tensor], turns: list[Tensor]) -> Tensor:
    """Two-loop recursion: the gradients divided by the curvature seen so far."""
    vector = gradients.clone()
    past = []
    for move, turn in zip(reversed(moves), reversed(turns), strict=True):
        curvature = (move * turn).sum(dim=1, keepdim=True)
        weight = torch.where(curvature > 1e-12 * turn.square().sum(dim=1, keepdim=True), 1 / curvature, 0.0)
        amount = weight * (move * vector).sum(dim=1, keepdim=True)
        vector = vector - amount * turn
        past.append((move, turn, weight, amount))
    if past:
        move, turn, weight, _ = past[0]
        scale = (move * turn).sum(dim=1, keepdim=True) / turn.square().sum(dim=1, keepdim=True)
        vector = vector * torch.where(weight > 0, scale, 1.0)
    for move, turn, weight, amount in reversed(past):
        vector = vector + move * (amount - weight * (turn * vector).sum(dim=1, keepdim=True))
    return vector


def _searched(
    evaluate: Evaluate, points: Tensor, losses: Tensor, gradients: Tensor, direction: Tensor, scaled: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten each problem's step until it descends; a problem that finds none stays where it is."""
    slope = (gradients * direction).sum(dim=1)
    first = torch.ones_like(losses) if scaled else 1 / gradients.norm(dim=1).clamp_min(1e-12)
    length = torch.where(slope < 0, first, 0.0)
    best = points.clone(), losses.clone(), gradients.clone()
    open_ = slope < 0
    for _ in range(_TRIALS):
        if not bool(open_.any()):
            break
        trial = points + length[:, None] * direction
        trial_losses, trial_gradients = evaluate(trial)
        good = open_ & (trial_losses <= losses + _SUFFICIENT * length * slope)
        best = (
            torch.where(good[:, None], trial, best[0]),
            torch.where(good, trial_losses, best[1]),
            torch.where(good[:, None], trial_gradients, best[2]),
        )
        open_ = open_ & ~good
        length = torch.where(open_, length * _SHRINK, length)
    return best
