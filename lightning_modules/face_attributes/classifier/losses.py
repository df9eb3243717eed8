"""The loss that fits each head, where some labels are missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.faces.schema import ABSENT, MISSING, PRESENT
from lightning_modules.face_attributes.classifier.heads import AttributeHeads, HeadGroup

Reduction = Literal["sum", "mean"]
OrdinalLoss = Literal["softmax", "cumulative"]


@dataclass(frozen=True)
class ClassWeights:
    """What each answer counts in the loss.

    Attributes:
        present: Of each output, float ``(L,)``; of a softmax, the weight of the class.
        absent: Of each sigmoid when its attribute is absent, float ``(L,)``; unused for a softmax.
    """

    present: Tensor
    absent: Tensor


def attribute_losses(
    heads: AttributeHeads,
    logits: Tensor,
    attributes: Tensor,
    weights: ClassWeights | None = None,
    reduction: Reduction = "sum",
    ordinal: OrdinalLoss = "softmax",
) -> Tensor:
    """Loss of each face: the negative log-likelihood of what is known of it, added over the heads.

    A sigmoid whose attribute is missing, and a head of which nothing is known, add exactly nothing and give no
    gradient. A softmax of which only some attributes are known to be absent is asked for the sum of the probabilities
    that remain possible. Of a softmax with several attributes present, each is wanted with an equal share, which is
    what choosing one at random means on average.

    Args:
        heads: The heads.
        logits: ``(B, L)``.
        attributes: int8 ``(B, K)``: 1 present, 0 absent, -1 missing.
        weights: Of the answers; None: all count the same.
        reduction: ``sum`` over the heads, as in the paper, or their ``mean``.
        ordinal: ``softmax`` treats ordinal heads as exclusive ones; ``cumulative`` adds, where one attribute is
            present, the cross-entropies of "at most this one" for every place in the order.

    Returns:
        float32 ``(B,)``.

    Example:
        >>> from datamodules.faces.schema import AttributeSchema, Head
        >>> heads = AttributeHeads(1, AttributeSchema(("A", "B"), (Head("both", "exclusive", ("A", "B")),)))
        >>> labels = torch.tensor([[1, 0], [-1, 0], [-1, -1]], dtype=torch.int8)
        >>> attribute_losses(heads, torch.zeros(3, 3), labels).exp()
        tensor([3.0000, 1.5000, 1.0000])
    """
    total = logits.new_zeros(len(logits), dtype=torch.float32)
    for group, labels in zip(heads.groups, heads.group_labels(attributes), strict=True):
        own = group.logits(logits).float()
        if group.softmax:
            loss = _softmax_loss(group, own, labels, weights)
            if ordinal == "cumulative":
                loss = loss + _cumulative_loss(group, own, labels)
        else:
            loss = _sigmoid_loss(group, own, labels, weights)
        total = total + loss.sum(dim=1)
    return total / len(heads.schema.heads) if reduction == "mean" else total


def _sigmoid_loss(group: HeadGroup, logits: Tensor, labels: Tensor, weights: ClassWeights | None) -> Tensor:
    """Cross-entropy ``(B, heads)`` of sigmoids ``(B, heads, 1)``; 0 where missing."""
    logits, labels = logits.squeeze(2), labels.squeeze(2)
    loss = F.binary_cross_entropy_with_logits(logits, (labels == PRESENT).float(), reduction="none")
    if weights is not None:
        own = slice(group.start, group.stop)
        loss = loss * torch.where(labels == PRESENT, weights.present[own], weights.absent[own])
    return torch.where(labels == MISSING, 0.0, loss)


def _softmax_loss(group: HeadGroup, logits: Tensor, labels: Tensor, weights: ClassWeights | None) -> Tensor:
    """Negative log-likelihood ``(B, heads)`` of what is known of softmaxes ``(B, heads, width)``."""
    wanted, possible = class_masks(group, labels)
    chosen = wanted.any(dim=2)
    informative = chosen | (possible.any(dim=2) & ~possible.all(dim=2))
    possible = possible | ~informative.unsqueeze(2)  # an empty set would give infinities, whose gradient is no number
    log_probability = logits.log_softmax(dim=2)
    shares = wanted.float() / wanted.sum(dim=2, keepdim=True).clamp(min=1)
    told = -(log_probability * shares).sum(dim=2)
    remaining = -log_probability.masked_fill(~possible, -math.inf).logsumexp(dim=2)
    loss = torch.where(chosen, told, remaining)
    if weights is not None:
        known = torch.where(chosen.unsqueeze(2), wanted, possible).float()
        class_weight = weights.present[group.start : group.stop].view(1, len(group.heads), group.width)
        loss = loss * (known * class_weight).sum(dim=2) / known.sum(dim=2)
    return torch.where(informative, loss, 0.0)


def class_masks(group: HeadGroup, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Classes of softmaxes that are known to be true, and those that may be while none is, each ``(B, heads, width)``.

    Args:
        group: Heads of equal form.
        labels: ``(B, heads, members)``.
    """
    wanted, possible = labels == PRESENT, labels != ABSENT
    if group.none:
        wanted, possible = F.pad(wanted, (1, 0), value=False), F.pad(possible, (1, 0), value=True)
    return wanted, possible


def _cumulative_loss(group: HeadGroup, logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropies ``(B, heads)`` of "at most this one", of ordinal heads with exactly one attribute present."""
    ordinal = torch.tensor([head.kind == "ordinal" for head in group.heads], device=logits.device)
    if group.members < 2 or not bool(ordinal.any()):
        return logits.new_zeros(logits.shape[:2])
    present = labels == PRESENT
    counts = ordinal & (present.sum(dim=2) == 1)
    at_most = logits[:, :, group.none :].softmax(dim=2).cumsum(dim=2)[:, :, :-1].clamp(1e-6, 1 - 1e-6)
    truth = present.float().cumsum(dim=2)[:, :, :-1].clamp(max=1.0)
    loss = F.binary_cross_entropy(at_most, truth, reduction="none").mean(dim=2)
    return torch.where(counts, loss, 0.0)


def balanced_weights(heads: AttributeHeads, attributes: Tensor, largest: float = 10.0) -> ClassWeights:
    """Weights that give every answer of a head the same say, whatever its frequency.

    Args:
        heads: The heads.
        attributes: Labels of the training faces, int8 ``(N, K)``.
        largest: No weight is above it or below its inverse; an answer that no face has keeps 1.

    Returns:
        Weights whose mean over the faces is 1, before the limits.
    """
    present = torch.ones(heads.num_logits, device=attributes.device)
    absent = torch.ones_like(present)
    for group, labels in zip(heads.groups, heads.group_labels(attributes), strict=True):
        own = slice(group.start, group.stop)
        if group.softmax:
            wanted, possible = class_masks(group, labels)
            chosen = wanted.any(dim=2, keepdim=True)
            counts = torch.where(chosen, wanted, possible & (possible.sum(dim=2, keepdim=True) == 1)).sum(dim=0).float()
            present[own] = _inverse(counts, counts.sum(dim=1, keepdim=True), group.width, largest).flatten()
        else:
            yes, no = (labels == PRESENT).sum(dim=0).float(), (labels == ABSENT).sum(dim=0).float()
            present[own] = _inverse(yes, yes + no, 2, largest).flatten()
            absent[own] = _inverse(no, yes + no, 2, largest).flatten()
    return ClassWeights(present, absent)


def _inverse(counts: Tensor, total: Tensor, classes: int, largest: float) -> Tensor:
    weights = (total / (classes * counts.clamp(min=1))).clamp(1 / largest, largest)
    return torch.where(counts > 0, weights, 1.0)
