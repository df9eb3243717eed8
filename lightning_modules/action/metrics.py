"""How often frames, classes and videos are named right, exact for any number of processes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

NAMES = ("loss", "accuracy", "balanced_accuracy", "video_accuracy")


class FrameMetrics(Metric):
    """Cross-entropy, accuracy, mean accuracy of C classes, and accuracy of whole videos over a split.

    The class of a video is the first greatest of its mean frame score. Of each batch, only a sum a video is kept.

    ``compute`` returns a dict of scalars: loss, accuracy, balanced_accuracy, video_accuracy; NaN without frames.

    Example:
        >>> metrics = FrameMetrics(2)
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> metrics.update(logits, torch.tensor([0, 0, 1]), torch.tensor([7, 7, 9]), torch.tensor([True, True, True]))
        >>> {name: round(value.item(), 3) for name, value in metrics.compute().items()}
        {'loss': 0.584, 'accuracy': 0.667, 'balanced_accuracy': 0.75, 'video_accuracy': 1.0}
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    loss_sum: Tensor
    right: Tensor
    frames: Tensor
    videos: list[Tensor]
    score_sums: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("right", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("videos", [], dist_reduce_fx="cat")
        self.add_state("score_sums", [], dist_reduce_fx="cat")
        self.num_classes = num_classes

    def update(self, logits: Tensor, label: Tensor, video_index: Tensor, valid: Tensor) -> None:
        """Add a batch.

        Args:
            logits: ``(B, C)``.
            label: int64 ``(B,)``; rows with -1 are left out.
            video_index: int64 ``(B,)``.
            valid: bool ``(B,)``; rows with False are left out.
        """
        counts = valid & (label >= 0)
        logits, label, video_index = logits.detach().float()[counts], label[counts], video_index[counts]
        self.loss_sum += F.cross_entropy(logits, label, reduction="sum").double()
        hit = logits.argmax(dim=1) == label
        self.frames += torch.bincount(label, minlength=self.num_classes)
        self.right += torch.bincount(label[hit], minlength=self.num_classes)
        keys, member = torch.unique(torch.stack([video_index, label], dim=1), dim=0, return_inverse=True)
        sums = logits.new_zeros(len(keys), self.num_classes).index_add_(0, member, logits.softmax(dim=1))
        self.videos.append(keys)
        self.score_sums.append(sums)

    def compute(self) -> dict[str, Tensor]:
        """Return each measure by name, float32."""
        total = int(self.frames.sum())
        if total == 0:
            return dict.fromkeys(NAMES, torch.tensor(math.nan, device=self.device))
        present = self.frames > 0
        return {
            "loss": (self.loss_sum / total).float(),
            "accuracy": self.right.sum().float() / total,
            "balanced_accuracy": (self.right[present].float() / self.frames[present]).mean(),
            "video_accuracy": self._video_accuracy(),
        }

    def _video_accuracy(self) -> Tensor:
        rows, sums = dim_zero_cat(self.videos), dim_zero_cat(self.score_sums)
        keys, member = torch.unique(rows, dim=0, return_inverse=True)
        means = sums.new_zeros(len(keys), self.num_classes).index_add_(0, member, sums)
        right: Tensor = means.argmax(dim=1) == keys[:, 1]
        return right.float().mean()
