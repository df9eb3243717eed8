"""Is the whole part defective? Measures of the decision that a line acts on."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import IGNORE, InspectionBatch
from lightning_modules.inspection.measures.areas import DEFAULT_BINS, average_precision, count_scores


class ImageTruth(NamedTuple):
    """What is known of whole images.

    Attributes:
        defective: bool ``(B,)``, the image shows a defect.
        known: bool ``(B,)``, ``defective`` is certain.
    """

    defective: Tensor
    known: Tensor


def image_truth(batch: InspectionBatch) -> ImageTruth:
    """Read off the labels whether each image shows a defect.

    A row is known when it is labelled completely, flagged as healthy, or holds an answer that names a class. Where no
    defect is labelled and nothing is known of a part, a defect may be there: the row is unknown, as are those that pad
    the processes.
    """
    mask = batch["class_mask"]
    labelled = ((mask > 0) & (mask != IGNORE)).flatten(1).any(1) | (batch["box_class"] >= 0).any(1)
    confirmed = (batch["answer_truth"] >= 0).any(1)
    defective = (labelled & batch["labelled"]) | confirmed
    unclear = (mask == IGNORE).flatten(1).any(1) & ~labelled
    known = ((batch["labelled"] & ~unclear) | batch["is_healthy"] | confirmed) & batch["valid"]
    return ImageTruth(defective, known)


class ImageMetrics(Metric):
    """Average precision and accuracy of whole images, in constant memory; processes merge exactly.

    ``compute`` returns a dict of float32 scalars: ``image_ap``, of the images' scores in bins as
    :class:`~lightning_modules.inspection.measures.areas.AreaMetrics` has them; ``image_accuracy``, share of right
    decisions; ``image_recall``, share of defective images that are flagged; ``image_false_alarms``, share of healthy
    images that are flagged. A value is NaN where no image says anything about it.

    Example:
        >>> metrics = ImageMetrics()
        >>> yes = torch.tensor([True, False, True])
        >>> metrics.update(torch.tensor([0.9, 0.2, 0.1]), torch.tensor([True, False, False]), yes, torch.ones(3) > 0)
        >>> {name: round(float(value), 3) for name, value in metrics.compute().items()}
        {'image_ap': 0.833, 'image_accuracy': 0.667, 'image_recall': 0.5, 'image_false_alarms': 0.0}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor
    decisions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(1, 2, DEFAULT_BINS, dtype=torch.int64), dist_reduce_fx="sum")
        # (healthy or defective, passed or flagged)
        self.add_state("decisions", torch.zeros(2, 2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, score: Tensor, flagged: Tensor, defective: Tensor, known: Tensor) -> None:
        """Add a batch.

        Args:
            score: ``(B,)`` in 0..1, highest score of each image.
            flagged: bool ``(B,)``, whether an area reaches its class's threshold.
            defective: bool ``(B,)``.
            known: bool ``(B,)``; rows with False are left out.

        Raises:
            ConfigurationError: If the shapes differ.
        """
        shapes = [tuple(part.shape) for part in (score, flagged, defective, known)]
        if shapes.count((len(score),)) != len(shapes):
            raise ConfigurationError(
                f"Scores, decisions, truth and known rows have shapes {shapes}, but each must be (B,): give one value "
                "an image."
            )
        self.counts += count_scores(score.detach()[:, None], defective[:, None], known[:, None])
        place = torch.where(known, defective.long() * 2 + flagged.long(), 4)
        self.decisions += torch.bincount(place, minlength=5)[:4].view(2, 2)

    def compute(self) -> dict[str, Tensor]:
        """Return each measure by name."""
        decisions = self.decisions
        return {
            "image_ap": average_precision(self.counts)[0],
            "image_accuracy": _share(decisions.diagonal().sum(), decisions.sum()),
            "image_recall": _share(decisions[1, 1], decisions[1].sum()),
            "image_false_alarms": _share(decisions[0, 1], decisions[0].sum()),
        }


def _share(part: Tensor, whole: Tensor) -> Tensor:
    value = part.double() / whole.clamp_min(1)
    return torch.where(whole > 0, value, torch.full_like(value, math.nan)).float()
