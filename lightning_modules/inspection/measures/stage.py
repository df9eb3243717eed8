"""Measures of one stage, kept apart for the two domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.areas import AreaTargets
from lightning_modules.inspection.measures.areas import AreaMetrics, ThresholdRule
from lightning_modules.inspection.measures.boxes import BoxMetrics
from lightning_modules.inspection.measures.images import ImageMetrics, image_truth

Domain = Literal["original", "new"]
DOMAINS: tuple[Domain, ...] = ("original", "new")  # the place is the value of `domain` in a batch


class TuningRule(NamedTuple):
    """How thresholds are chosen on validation data.

    Attributes:
        rule: Greatest F1, or the highest threshold that keeps a recall.
        recall_floor: That recall, 0..1.
    """

    rule: ThresholdRule
    recall_floor: float


class DomainMetrics(nn.Module):
    """Area measures of the original and the new domain; of whole images and boxes too, where asked for.

    Every process must call each method that reads a value.

    Args:
        class_names: Names of the C classes.
        complete: Also measure whole images (`update_images`) and boxes (`update_boxes`).
    """

    def __init__(self, class_names: Sequence[str], *, complete: bool = False) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.areas = nn.ModuleDict({domain: AreaMetrics(len(class_names)) for domain in DOMAINS})
        measured = DOMAINS if complete else ()
        self.images = nn.ModuleDict({domain: ImageMetrics() for domain in measured})
        self.boxes = nn.ModuleDict({domain: BoxMetrics() for domain in measured})

    def area_metrics(self, domain: Domain) -> AreaMetrics:
        """The area measures of one domain."""
        return cast(AreaMetrics, self.areas[domain])

    def update(self, scores: Tensor, targets: AreaTargets, batch: InspectionBatch) -> None:
        """Add the areas of a batch, with their probabilities ``(B, C, A, h, w)``."""
        for number, name in enumerate(DOMAINS):
            rows = (batch["domain"] == number) & batch["valid"]
            if bool(rows.any()):
                self.area_metrics(name).update(scores[rows], targets.target[rows], targets.known[rows])

    def update_images(self, score: Tensor, flagged: Tensor, batch: InspectionBatch) -> None:
        """Add the highest score ``(B,)`` of whole images, and whether they are flagged."""
        truth = image_truth(batch)
        for number, name in enumerate(DOMAINS):
            known = truth.known & (batch["domain"] == number)
            cast(ImageMetrics, self.images[name]).update(score, flagged, truth.defective, known)

    def update_boxes(self, detections: Sequence[Sequence[Detection]], batch: InspectionBatch) -> None:
        """Add the boxes of the detections of each image.

        Args:
            detections: Of each row, in pixels of the source image.
            batch: Its labels and domains are read.
        """
        for number, name in enumerate(DOMAINS):
            rows: InspectionBatch = {**batch, "valid": batch["valid"] & (batch["domain"] == number)}
            cast(BoxMetrics, self.boxes[name]).update(detections, rows)

    def best_thresholds(self, tuning: TuningRule, *, prefer_new: bool) -> Tensor | None:
        """Thresholds ``(C,)`` tuned on one domain; None without rows.

        Args:
            tuning: How.
            prefer_new: Tune on the new domain, or else on the original one; the other one where that has no rows.
        """
        for name in reversed(DOMAINS) if prefer_new else DOMAINS:
            if not self.area_metrics(name).is_empty():
                return self.area_metrics(name).best_thresholds(tuning.rule, tuning.recall_floor)
        return None

    def values(self, thresholds: Tensor) -> dict[str, Tensor]:
        """All measures by name, ``map_new`` for example; a domain without rows gives none.

        Complete measures hold the average precision of each class that has a defective area, and leave out those of
        images and boxes that mean nothing for want of labels.

        Args:
            thresholds: ``(C,)``, of the measures named ``tuned``.
        """
        values: dict[str, Tensor] = {}
        for name in DOMAINS:
            metrics = self.area_metrics(name)
            if metrics.is_empty():
                continue
            found, tuned = metrics.compute(), metrics.at(thresholds)
            values |= {f"{key}_{name}": found[key] for key in ("map", "precision", "recall")}
            values |= {f"{key}_tuned_{name}": tuned[key] for key in ("precision", "recall")}
            if name in self.images:
                more = cast(ImageMetrics, self.images[name]).compute() | cast(BoxMetrics, self.boxes[name]).compute()
                every = found["ap"].reshape(-1)  # torchmetrics makes a scalar of one class
                more |= {f"ap/{title}": ap for title, ap in zip(self.class_names, every, strict=True)}
                values |= {_named(key, name): value for key, value in more.items() if not bool(torch.isnan(value))}
        return values

    def reset(self) -> None:
        """Forget all batches."""
        for metrics in (*self.areas.values(), *self.images.values(), *self.boxes.values()):
            cast(AreaMetrics, metrics).reset()  # one of three classes that all know how


def _named(key: str, domain: Domain) -> str:
    """The measure's name with its domain, the class last.

    Example:
        >>> _named("ap/scratch", "new"), _named("image_ap", "new")
        ('ap_new/scratch', 'image_ap_new')
    """
    measure, slash, title = key.partition("/")
    return f"{measure}_{domain}{slash}{title}"


def image_decisions(scores: Tensor, inside: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Highest score of each image, and whether any area reaches its class's threshold.

    Args:
        scores: ``(B, C, A, h, w)`` probabilities.
        inside: bool ``(B, h, w)``, cells of the picture.
        thresholds: ``(C,)``.

    Returns:
        float32 ``(B,)`` and bool ``(B,)``.

    Example:
        >>> scores = torch.tensor([0.2, 0.9]).view(1, 2, 1, 1, 1)
        >>> image_decisions(scores, torch.ones(1, 1, 1, dtype=torch.bool), torch.tensor([0.5, 0.95]))
        (tensor([0.9000]), tensor([False]))
    """
    highest = scores.float().masked_fill(~inside[:, None, None], 0.0).amax(dim=(2, 3, 4))
    return highest.amax(dim=1), (highest >= thresholds).any(dim=1)
