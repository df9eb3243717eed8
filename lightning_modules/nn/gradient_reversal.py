"""Gradient reversal: the identity forwards, minus a multiple of the gradient backwards.

It belongs between the features and a domain classifier: the classifier learns to tell the domains apart, and what lies
below learns to make that impossible.

References:
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, sections 4.2 and 5.2.2.
"""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from datamodules.common.errors import ConfigurationError

ReversalSchedule = Literal["ganin", "linear", "constant"]


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength  # type: ignore[attr-defined]  # torch keeps a function's plain values there
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * -ctx.strength, None  # type: ignore[attr-defined]  # as above


def gradient_reversal(x: Tensor, strength: float) -> Tensor:
    """A view of ``x`` whose gradient arrives at ``x`` times ``-strength``.

    Args:
        x: Any shape, floating point.
        strength: The paper's lambda, at least 0.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> (3 * gradient_reversal(x, 0.5)).sum().backward()
        >>> x.grad
        tensor([-1.5000, -1.5000])
    """
    return cast(Tensor, _Reversal.apply(x, strength))


def reversal_strength(progress: float, schedule: ReversalSchedule = "ganin", gamma: float = 10.0) -> float:
    """Strength of the reversal after a share of the training.

    Args:
        progress: Steps taken / steps planned; held to 0..1.
        schedule: ``ganin``: 2 / (1 + exp(-gamma p)) - 1; ``linear``: p; ``constant``: 1.
        gamma: How fast ``ganin`` rises.

    Returns:
        A value in 0..1.

    Raises:
        ConfigurationError: If the schedule is unknown.

    Example:
        >>> [round(reversal_strength(p), 3) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 0.462, 0.987, 1.0]
    """
    progress = min(1.0, max(0.0, progress))
    if schedule == "ganin":
        return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0
    if schedule == "linear":
        return progress
    if schedule == "constant":
        return 1.0
    raise ConfigurationError(
        f"There is no schedule {schedule!r} of the gradient reversal: use ganin, linear or constant."
    )
