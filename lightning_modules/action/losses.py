"""Cross-entropy over the frames that count, and the L1 of the hidden layer as a penalty or as a proximal step."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.nn.processes import mean_over_processes

L1Method = Literal["penalty", "proximal"]


def frame_loss(
    logits: Tensor,
    label: Tensor,
    valid: Tensor,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy of the frames of all processes that are valid and have a label.

    Args:
        logits: ``(B, C)``.
        label: int64 ``(B,)``; -1 where unknown.
        valid: bool ``(B,)``; False for padding.
        class_weight: ``(C,)``; None weighs all classes alike.
        label_smoothing: Share of the target that is spread over all classes, 0..1.

    Returns:
        A scalar whose mean over the processes, which all call it, is the loss of the global batch; 0 with a gradient of
        0 where no frame counts.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [9.0, -9.0]])
        >>> round(frame_loss(logits, torch.tensor([1, -1]), torch.tensor([True, True])).item(), 4)
        0.6931
    """
    counts = valid & (label >= 0)
    picked = label[counts]
    weight = counts.sum().float() if class_weight is None else class_weight[picked].sum()
    divisor = mean_over_processes(weight)
    if not bool(counts.any()):
        return logits.sum() * 0
    total = F.cross_entropy(
        logits[counts].float(), picked, weight=class_weight, label_smoothing=label_smoothing, reduction="sum"
    )
    return total / divisor


def l1_norm(weight: Tensor) -> Tensor:
    """Sum of absolute values, a scalar.

    Example:
        >>> l1_norm(torch.tensor([[1.0, -2.0]]))
        tensor(3.)
    """
    return weight.abs().sum()


@torch.no_grad()
def soft_threshold_(weight: Tensor, threshold: float) -> None:
    """Move every value towards 0 by ``threshold``, in place; values that would cross 0 become exactly 0.

    This is the proximal operator of ``threshold * l1_norm``. A gradient step on the penalty never makes an exact zero.

    Example:
        >>> weight = torch.tensor([1.0, -0.5, 0.1])
        >>> soft_threshold_(weight, 0.25)
        >>> weight
        tensor([ 0.7500, -0.2500,  0.0000])
    """
    weight.copy_(F.softshrink(weight, threshold))


def sparsity(weight: Tensor) -> Tensor:
    """Share of values that are exactly 0, a scalar in 0..1.

    Example:
        >>> sparsity(torch.tensor([0.0, 2.0, 0.0, 1e-9]))
        tensor(0.5000)
    """
    return (weight == 0).float().mean()


def proximal_threshold(l1_weight: float, learning_rate: float, momentum: float = 0.0) -> float:
    """Threshold of the proximal step that matches one optimiser step.

    Momentum m multiplies the reach of a gradient by 1 / (1 - m); with the threshold multiplied as well, the proximal
    method rests where the penalty does.

    Example:
        >>> round(proximal_threshold(0.01, 1e-3, 0.9), 6)
        0.0001
    """
    return l1_weight * learning_rate / (1 - momentum)


def balanced_weights(counts: Tensor) -> Tensor:
    """Class weights that give each class the same say: ``N / (C * count)``, 0 for a class without frames.

    Args:
        counts: Frames of each class, ``(C,)``.

    Returns:
        float32 ``(C,)`` whose mean over all frames is 1.

    Example:
        >>> balanced_weights(torch.tensor([1, 3]))
        tensor([2.0000, 0.6667])
    """
    present = counts > 0
    weight = counts.sum() / (present.sum().clamp(min=1) * counts.clamp(min=1))
    return torch.where(present, weight.float(), torch.zeros(()))
