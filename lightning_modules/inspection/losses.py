"""The masked loss (eq. 3 and 4), its average over processes, and distillation on areas without an answer.

All losses are computed in float32 from logits, whatever the precision of the network.

References:
    Cordier, Das and Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
    section 3.3; distillation is the future work named in section 5.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.inspection.uncertainty import binary_entropy
from lightning_modules.nn.processes import mean_over_processes, number_of_processes

AreaAverage = Literal["joint", "split", "all"]


def masked_bce(
    logits: Tensor, target: Tensor, known: Tensor, *, positive_weight: float | None = None, count: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy summed over the known entries, divided by their number (eq. 4).

    Outside ``known`` the gradient is exactly zero, even where a logit is not finite; without any known entry the loss
    is a zero that stays in the graph.

    Args:
        logits: Any shape, floating point.
        target: Same shape, 0..1.
        known: Same shape, bool: the set M.
        positive_weight: Factor of the positive term; None is 1.
        count: Divisor, a scalar above 0, for averages over several processes (`global_counts`); None counts ``known``,
            at least 1.

    Returns:
        A scalar, float32 at least.

    Example:
        >>> logits, target = torch.tensor([0.0, 5.0]), torch.tensor([1.0, 0.0])
        >>> masked_bce(logits, target, torch.tensor([True, False]))
        tensor(0.6931)
    """
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32)).masked_fill(~known, 0.0)
    weight = None if positive_weight is None or positive_weight == 1 else exact.new_tensor(positive_weight)
    entries = F.binary_cross_entropy_with_logits(exact, target.to(exact.dtype), reduction="none", pos_weight=weight)
    return entries.masked_fill(~known, 0.0).sum() / (known.sum().clamp(min=1) if count is None else count)


def global_counts(*known: Tensor) -> tuple[Tensor, ...]:
    """Divisors that make the mean of all processes' gradients the gradient of the mean over the global batch.

    Counts the true entries of each mask over all processes, at least 1, and divides by the number of processes, since
    DDP averages gradients. One reduction serves all masks; every process must call it with the same number of them.

    Args:
        known: Bool masks of any shape.

    Returns:
        A float32 scalar for each mask, without gradient.

    Example:
        >>> global_counts(torch.tensor([True, True, False]), torch.tensor([False]))
        (tensor(2.), tensor(1.))
    """
    counts = torch.stack([mask.sum() for mask in known]).double()  # counts beyond 2^24 stay exact
    return mean_over_processes(counts).clamp(min=1 / number_of_processes()).float().unbind()


def global_count(known: Tensor) -> Tensor:
    """`global_counts` of one mask."""
    return global_counts(known)[0]


def weak_loss(
    logits: Tensor,
    target: Tensor,
    answered: Tensor,
    assumed: Tensor,
    rows: Tensor,
    *,
    average: AreaAverage = "joint",
    positive_weight: float | None = None,
) -> Tensor:
    """L_W of eq. 3 over answered areas and those assumed to be healthy (OMNIA-like, healthy knowledge).

    Args:
        logits: Any shape that begins with the batch.
        target: Same shape, 0 or 1.
        answered: Same shape, bool: the operator's answers.
        assumed: Same shape, bool: no overlap with ``answered``.
        rows: bool, broadcasts to that shape: images of which only answers are known.
        average: ``joint`` divides by the number of both (eq. 4: all are members of M); ``split`` adds the mean over the
            answered to the mean over the assumed entries, so that many easy zeros do not outweigh few answers; ``all``
            divides by all entries of ``rows``, known or not, so that an answered entry weighs as much as a labelled
            one. Under eq. 4 the fewer the answers, the more each of them weighs.
        positive_weight: Factor of the positive term.

    Returns:
        A float32 scalar, averaged over the global batch.
    """
    if average != "split":
        known = answered | assumed
        count = global_count(known if average == "joint" else rows.expand_as(known))
        return masked_bce(logits, target, known, positive_weight=positive_weight, count=count)
    counts = global_counts(answered, assumed)
    parts = [
        masked_bce(logits, target, known, positive_weight=positive_weight, count=count)
        for known, count in zip((answered, assumed), counts, strict=True)
    ]
    return parts[0] + parts[1]


def distillation_loss(
    logits: Tensor, teacher_probability: Tensor, unmentored: Tensor, *, count: Tensor | None = None
) -> Tensor:
    """Mean divergence KL(teacher || student) of binary decisions over the areas without an answer.

    Args:
        logits: The student's, any shape.
        teacher_probability: Same shape, 0..1; no gradient flows into it.
        unmentored: Same shape, bool.
        count: Divisor as in `masked_bce`.

    Returns:
        A scalar, at least 0, and 0 where both agree.

    Example:
        >>> loss = distillation_loss(torch.zeros(2), torch.full((2,), 0.5), torch.ones(2, dtype=torch.bool))
        >>> bool(loss.abs() < 1e-6)
        True
    """
    teacher = teacher_probability.detach().to(torch.promote_types(logits.dtype, torch.float32))
    entropy = binary_entropy(teacher).masked_fill(~unmentored, 0.0).sum()
    divisor = unmentored.sum().clamp(min=1) if count is None else count
    return masked_bce(logits, teacher, unmentored, count=divisor) - entropy / divisor
