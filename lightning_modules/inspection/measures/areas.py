"""Measures over areas: average precision, precision, recall and tuned thresholds, from histograms of the scores."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from datamodules.common.errors import ConfigurationError

ThresholdRule = Literal["f1", "recall"]

BIN_WIDTH = 0.005  # in logits: relative width 0.5 % for scores near 0 and near 1, 0.00125 at 0.5
DEFAULT_BINS = 8192  # reaches down to a score of 1.3e-9


def score_bins(scores: Tensor, bins: int = DEFAULT_BINS) -> Tensor:
    """Number of each score's bin; bins are equally wide in logits, so they are log-spaced towards 0 and towards 1.

    Background scores crowd near 0, where equally wide bins of the score itself would hold them all. A score of exactly
    0.5 opens bin ``bins // 2``.

    Args:
        scores: Any shape, float in 0..1; NaN counts as 0.
        bins: Number of bins, even.

    Returns:
        int64 of the same shape, 0..bins - 1.

    Example:
        >>> score_bins(torch.tensor([0.0, 0.4999999, 0.5, 1.0])).tolist()
        [0, 4095, 4096, 8191]
    """
    # In float64, so that no rounding moves a float32 score over an edge, wherever in the tensor it stands. Floor before
    # the shift, which would round a score just below 0.5 up to it.
    steps = (torch.logit(scores.double()) / BIN_WIDTH).nan_to_num(nan=-math.inf).floor()
    half = bins // 2
    return steps.clamp(-half, half - 1).long() + half


def bin_threshold(index: Tensor, bins: int = DEFAULT_BINS) -> Tensor:
    """Find the smallest score of each bin, so that exactly the scores of that bin and up are at or above it.

    Near 1 some bins lie between two float32 numbers; theirs is the next larger score.

    Args:
        index: ``(N,)`` int64, numbers of bins.
        bins: Number of bins.

    Returns:
        ``(N,)`` float32 in 0..1; 0 for bin 0.
    """
    index = index.cpu()
    threshold = torch.sigmoid((index.double() - bins // 2) * BIN_WIDTH).float()
    for _ in range(4):  # rounding to float32 may have left it a step or two under its bin, or over its first score
        below = torch.nextafter(threshold, torch.zeros_like(threshold))
        threshold = torch.where(score_bins(below, bins) >= index, below, threshold)
    for _ in range(4):
        above = torch.nextafter(threshold, torch.ones_like(threshold))
        threshold = torch.where(score_bins(threshold, bins) < index, above, threshold)
    return torch.where(index <= 0, torch.zeros_like(threshold), threshold)


class AreaMetrics(Metric):
    """Average precision, precision and recall over areas, per class, in constant memory.

    Counts the known areas of each class by target and score bin (:func:`score_bins`); states are sums, so processes
    merge exactly. Average precision is that of scikit-learn on the binned scores, that is, scores of one bin tie.
    :meth:`error_bound` gives the largest possible difference to the unbinned value for the data at hand.

    ``compute`` returns a dict of float32: ``ap`` (C,), NaN for classes without a positive area; ``map``, mean over the
    other classes, NaN without any; ``precision`` and ``recall`` at 0.5 over the areas of all classes together.
    Precision is 0 where no area reaches 0.5 although there are positives; both are NaN where they mean nothing.

    Args:
        num_classes: Number of classes C.
        bins: Number of score bins, even.

    Example:
        >>> metrics = AreaMetrics(num_classes=1)
        >>> scores = torch.tensor([0.9, 0.8, 0.3]).view(1, 1, 1, 1, 3)
        >>> target = torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 1, 3)
        >>> metrics.update(scores, target, torch.ones_like(target, dtype=torch.bool))
        >>> {name: round(float(value), 3) for name, value in metrics.compute().items()}
        {'map': 0.833, 'ap': 0.833, 'precision': 0.5, 'recall': 0.5}

    References:
        Cordier, Das, Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
        section 4 (mAP on both domains, precision and recall at 0.5).
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int, bins: int = DEFAULT_BINS) -> None:
        super().__init__()
        if num_classes < 1 or bins < 2 or bins % 2:
            raise ConfigurationError(
                f"Area metrics of {num_classes} classes and {bins} bins cannot work: give at least one class and an "
                "even number of bins."
            )
        self.num_classes = num_classes
        self.bins = bins
        # (class, target, bin); a histogram holds each area once, whatever the number of thresholds
        zeros = torch.zeros(num_classes, 2, bins, dtype=torch.int64)
        self.add_state("counts", default=zeros, dist_reduce_fx="sum")

    def update(self, scores: Tensor, target: Tensor, known: Tensor) -> None:
        """Add a batch.

        Args:
            scores: ``(B, C, ...)`` float, probabilities in 0..1.
            target: The same shape, 1 defective, 0 healthy.
            known: bool, the same shape; areas with False are left out.

        Raises:
            ConfigurationError: If the shapes differ, or the second size is not the number of classes.
        """
        shapes = [tuple(part.shape) for part in (scores, target, known)]
        if shapes.count(shapes[0]) != len(shapes) or scores.ndim < 2 or scores.shape[1] != self.num_classes:
            raise ConfigurationError(
                f"Scores, targets and known areas have shapes {shapes}, but they must be one shape (B, "
                f"{self.num_classes}, ...): give area tensors of one method."
            )
        self.counts += count_scores(scores.detach(), target, known, self.bins)

    def compute(self) -> dict[str, Tensor]:
        """Return map, ap, precision and recall by name."""
        ap = average_precision(self.counts)
        micro = _precision_recall(self.counts, self.bins // 2 * torch.ones(self.num_classes, dtype=torch.int64))
        return {"map": ap.nanmean(), "ap": ap, **micro}

    def at(self, thresholds: Tensor) -> dict[str, Tensor]:
        """Precision and recall over the areas of all classes at one threshold a class; every process must call it.

        Args:
            thresholds: ``(C,)`` in 0..1. One inside a bin counts as the bin's lower edge; those of
                :meth:`best_thresholds` and 0.5 are edges, hence exact.

        Returns:
            ``precision`` and ``recall``, float32 scalars, NaN as in :meth:`compute`.
        """
        return _precision_recall(self._merged_counts(), score_bins(thresholds.detach().cpu(), self.bins))

    def best_thresholds(self, rule: ThresholdRule = "f1", recall_floor: float = 0.9) -> Tensor:
        """Threshold of each class by a rule; every process must call it.

        Args:
            rule: ``f1``: the highest threshold of those with the greatest F1. ``recall``: the highest threshold whose
                recall is at least ``recall_floor``.
            recall_floor: In 0..1.

        Returns:
            ``(C,)`` float32 in 0..1; 0.5 for a class without a positive area.

        Raises:
            ConfigurationError: If the floor is outside 0..1.
        """
        if not 0.0 <= recall_floor <= 1.0:
            raise ConfigurationError(f"A recall floor of {recall_floor} cannot be met: give a value in 0..1.")
        counts = self._merged_counts().cpu()
        true_positives, false_positives = _from_the_top(counts)
        positives = counts[:, 1].sum(-1, keepdim=True)
        if rule == "f1":
            f1 = 2 * true_positives / (true_positives + false_positives + positives).clamp_min(1)
            best = f1.argmax(-1)  # the first of equals, which is the highest threshold
        else:
            reached = true_positives >= recall_floor * positives - 1e-9
            best = reached.int().argmax(-1)
        thresholds = bin_threshold(self.bins - 1 - best, self.bins)
        chosen = torch.where(positives.squeeze(-1) > 0, thresholds, torch.full_like(thresholds, 0.5))
        return chosen.to(self.counts.device)

    def error_bound(self) -> Tensor:
        """Largest possible difference between ``ap`` and the average precision of the unbinned scores, ``(C,)``.

        Within a bin the unbinned order is unknown. Average precision is lowest when its negatives come first and its
        positives follow one by one, highest when its positives come first and tie. Every process must call it.
        """
        counts = self._merged_counts().double()
        positives, negatives = counts[:, 1].flip(-1), counts[:, 0].flip(-1)
        tp, fp = positives.cumsum(-1), negatives.cumsum(-1)
        binned = positives * tp / (tp + fp).clamp_min(1)
        highest = positives * tp / (tp + fp - negatives).clamp_min(1)
        # The sum of i / (i + fp) over the bin's positives, i counting all positives so far.
        lowest = positives - fp * (torch.digamma(tp + fp + 1) - torch.digamma(tp - positives + fp + 1))
        span = torch.maximum(highest - binned, binned - lowest)
        return (span.sum(-1) / positives.sum(-1)).float()

    def is_empty(self) -> bool:
        """Whether no known area was added in any process; every process must call it."""
        return not bool(self._merged_counts().any())

    def _merged_counts(self) -> Tensor:
        """Counts over all processes."""
        if self._is_synced:
            return self.counts
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, process_group=self.process_group):
            return self.counts.clone()


def count_scores(scores: Tensor, target: Tensor, known: Tensor, bins: int = DEFAULT_BINS) -> Tensor:
    """Histogram of the scores of known areas.

    Args:
        scores: ``(B, C, ...)`` in 0..1.
        target: The same shape, 0 or 1.
        known: bool, the same shape.
        bins: Number of bins.

    Returns:
        int64 ``(C, 2, bins)``: class, target, bin.
    """
    classes = scores.shape[1]
    row = torch.arange(classes, device=scores.device).view(1, -1, *[1] * (scores.ndim - 2)) * 2 + (target > 0.5)
    cells = classes * 2 * bins
    # Unknown areas go to one more place, which is dropped: no copy of the known ones is made.
    place = torch.where(known, row * bins + score_bins(scores, bins), cells)
    return torch.bincount(place.flatten(), minlength=cells + 1)[:cells].view(classes, 2, bins)


def average_precision(counts: Tensor) -> Tensor:
    """Area under the precision-recall steps of each class, scores of one bin being ties.

    Args:
        counts: int64 ``(C, 2, bins)`` of :func:`count_scores`.

    Returns:
        ``(C,)`` float32 in 0..1; NaN for classes without a positive.
    """
    tp, fp = _from_the_top(counts)
    precision = tp / (tp + fp).clamp_min(1)
    positives = counts[:, 1].double()
    return ((positives.flip(-1) * precision).sum(-1) / positives.sum(-1)).float()


def _from_the_top(counts: Tensor) -> tuple[Tensor, Tensor]:
    """True and false positives of each threshold, ``(C, bins)`` float64, the highest threshold first."""
    cumulative = counts.flip(-1).cumsum(-1).double()
    return cumulative[:, 1], cumulative[:, 0]


def _precision_recall(counts: Tensor, lowest_bin: Tensor) -> dict[str, Tensor]:
    """Precision and recall over all classes when the bins from ``lowest_bin`` (C,) up count as detected."""
    number = torch.arange(counts.shape[-1], device=counts.device)
    detected = number >= lowest_bin.to(counts.device).unsqueeze(-1)
    found = (counts * detected.unsqueeze(1)).sum((0, 2)).double()
    positives = counts[:, 1].sum().double()
    nan = torch.full_like(positives, math.nan)
    # No detection at all is the worst precision where there was something to find.
    precision = torch.where(found.sum() + positives > 0, found[1] / found.sum().clamp_min(1), nan)
    recall = torch.where(positives > 0, found[1] / positives.clamp_min(1), nan)
    return {"precision": precision.float(), "recall": recall.float()}
