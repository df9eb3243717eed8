"""Measures of one stage, kept apart for the two domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from lightning_modules.inspection.areas import AreaTargets
from lightning_modules.inspection.metrics import AreaMetrics, ThresholdRule

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
    """Area measures of the original and the new domain.

    Args:
        class_names: Names of the C classes.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.areas = nn.ModuleDict({domain: AreaMetrics(len(class_names)) for domain in DOMAINS})

    def area_metrics(self, domain: Domain) -> AreaMetrics:
        """The measures of one domain."""
        return cast(AreaMetrics, self.areas[domain])

    def update(self, scores: Tensor, targets: AreaTargets, domain: Tensor, valid: Tensor) -> None:
        """Add a batch.

        Args:
            scores: ``(B, C, A, h, w)`` probabilities.
            targets: What they should be, and where that is known.
            domain: int64 ``(B,)``.
            valid: bool ``(B,)``.
        """
        for number, name in enumerate(DOMAINS):
            rows = (domain == number) & valid
            if bool(rows.any()):
                self.area_metrics(name).update(scores[rows], targets.target[rows], targets.known[rows])

    def best_thresholds(self, tuning: TuningRule) -> Tensor | None:
        """Thresholds ``(C,)`` tuned on the new domain, or on the original one where there is no new; None without rows.

        Every process must call it.
        """
        for name in reversed(DOMAINS):
            if not self.area_metrics(name).is_empty():
                return self.area_metrics(name).best_thresholds(tuning.rule, tuning.recall_floor)
        return None

    def values(self, thresholds: Tensor, *, per_class: bool = False) -> dict[str, Tensor]:
        """All measures by name, ``map_new`` for example; a domain without rows gives none. Every process must call it.

        Args:
            thresholds: ``(C,)``, of the measures named ``tuned``.
            per_class: Also give the average precision of each class that has a defective area.
        """
        values: dict[str, Tensor] = {}
        for name in DOMAINS:
            metrics = self.area_metrics(name)
            if metrics.is_empty():
                continue
            found, tuned = metrics.compute(), metrics.at(thresholds)
            values |= {f"{key}_{name}": found[key] for key in ("map", "precision", "recall")}
            values |= {f"{key}_tuned_{name}": tuned[key] for key in ("precision", "recall")}
            if per_class:
                known = zip(self.class_names, found["ap"], strict=True)
                values |= {f"ap_{name}/{title}": ap for title, ap in known if not bool(torch.isnan(ap))}
        return values

    def reset(self) -> None:
        """Forget all batches."""
        for name in DOMAINS:
            self.area_metrics(name).reset()
