"""How well faces show the attributes that were asked for, as another network sees them.

The paper asked a web service that is gone (Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning", 2016,
Table 2). Here a judge answers: a classifier of another architecture, trained on other faces, that no face was made
with. It may speak only of attributes that it knows, which its answers on real faces show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.faces.schema import ABSENT, MISSING, PRESENT
from lightning_modules.face_attributes.judging.knowledge import balanced_accuracy


@dataclass(frozen=True, slots=True)
class FullAgreement:
    """Agreement with requests that say something of every attribute.

    Attributes:
        value: Mean balanced accuracy over the attributes that count, 0..1; 0.5 is chance and any constant face.
        standard_error: Of ``value``, from the spread over the attributes.
        per_attribute: float64 ``(K,)``; NaN where the attribute does not count.
    """

    value: float
    standard_error: float
    per_attribute: Tensor


def full_agreement(judged: Tensor, requested: Tensor, known: Tensor) -> FullAgreement:
    """Balanced accuracy of what was asked for, in the judge's eyes.

    Args:
        judged: Answers of the judge, int8 ``(N, K)``.
        requested: Requests, int8 ``(N, K)``; -1 is not said, and not counted.
        known: bool ``(K,)``; attributes that the judge knows.

    Returns:
        The agreement over known attributes of which the requests hold both classes; NaN where there are none.
    """
    values = balanced_accuracy(judged, requested)
    values = torch.where(known, values, torch.full_like(values, math.nan))
    counted = values[~values.isnan()]
    value = counted.mean().item() if len(counted) else math.nan
    spread = counted.std().item() / math.sqrt(len(counted)) if len(counted) > 1 else math.nan
    return FullAgreement(value, spread, values)


@dataclass(frozen=True, slots=True)
class ShortAgreement:
    """Agreement with requests of a few attributes.

    Attributes:
        value: Mean of the other two.
        recall: Share of the attributes asked for that the judge sees.
        specificity: Share of the attributes that nobody asked for, and that few faces have, that it does not see.
    """

    value: float
    recall: float
    specificity: float


def short_agreement(judged: Tensor, requested: Tensor, expected_absent: Tensor, known: Tensor) -> ShortAgreement:
    """Recall on what was asked for, and specificity on what was not.

    Args:
        judged: Answers of the judge, int8 ``(N, K)``.
        requested: Requests, int8 ``(N, K)``: 1 asked for; others are not looked at.
        expected_absent: bool ``(N, K)`` of `expected_absent`.
        known: bool ``(K,)``; attributes that the judge knows.
    """
    asked = (requested == PRESENT) & known & (judged != MISSING)
    others = expected_absent & known & (judged != MISSING)
    recall = _ratio(((judged == PRESENT) & asked).sum(), asked.sum())
    specificity = _ratio(((judged == ABSENT) & others).sum(), others.sum())
    return ShortAgreement((recall + specificity) / 2, recall, specificity)


def _ratio(part: Tensor, whole: Tensor) -> float:
    return part.item() / whole.item() if whole.item() else math.nan
