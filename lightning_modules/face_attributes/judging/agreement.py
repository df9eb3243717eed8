"""How well faces show the attributes that were asked for, as another network sees them.

The paper asked a web service that is gone (Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning", 2016,
Table 2). Here a judge answers: a classifier of another architecture, trained on other faces, that no face was made
with. It may speak only of attributes that it knows, which its answers on real faces show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT

KNOWN = 0.90  # balanced accuracy from which a judge knows an attribute


def balanced_accuracy(decisions: Tensor, attributes: Tensor) -> Tensor:
    """Mean of recall and specificity of each attribute.

    Args:
        decisions: int8 ``(N, K)``, 1 present or 0 absent; -1 leaves a decision out.
        attributes: int8 ``(N, K)``, 1 present, 0 absent, -1 missing, which is left out.

    Returns:
        float64 ``(K,)`` in 0..1; NaN where one of both classes does not occur.

    Example:
        >>> import torch
        >>> balanced_accuracy(torch.tensor([[1], [0], [0]]), torch.tensor([[1], [1], [0]])).tolist()
        [0.75]
    """
    return (_share_right(decisions, attributes, PRESENT) + _share_right(decisions, attributes, ABSENT)) / 2


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a judge can be asked about.

    Attributes:
        names: K attributes.
        balanced_accuracy: float64 ``(K,)`` on real faces; NaN where they do not show both classes.
        threshold: Value from which an attribute is known.
    """

    names: tuple[str, ...]
    balanced_accuracy: Tensor
    threshold: float = KNOWN

    @property
    def known(self) -> Tensor:
        """Which attributes the judge may be asked about, bool ``(K,)``."""
        return self.balanced_accuracy.nan_to_num(0.0) >= self.threshold

    def unknown_names(self) -> list[str]:
        """Attributes that the judge saw too little of, or answers wrongly too often, in the order of the schema."""
        return [name for name, known in zip(self.names, self.known.tolist(), strict=True) if not known]


def judge_knowledge(decisions: Tensor, attributes: Tensor, names: Sequence[str], threshold: float = KNOWN) -> Knowledge:
    """Measure what a judge knows on real faces that it has not learnt from.

    Args:
        decisions: Its answers, int8 ``(N, K)``.
        attributes: The labels, int8 ``(N, K)``.
        names: K attributes.
        threshold: Balanced accuracy from which an attribute is known.

    Raises:
        ConfigurationError: If it knows none.
    """
    knowledge = Knowledge(tuple(names), balanced_accuracy(decisions, attributes), threshold)
    if not bool(knowledge.known.any()):
        best = knowledge.balanced_accuracy.nan_to_num(0.0).max().item()
        raise ConfigurationError(
            f"The judge knows no attribute: its best balanced accuracy is {best:.2f}, and {threshold:.2f} is asked "
            "for: train it longer, on more faces, or lower the threshold."
        )
    return knowledge


def _share_right(decisions: Tensor, attributes: Tensor, value: int) -> Tensor:
    """Share of the labels ``value`` that were answered so, float64 ``(K,)``."""
    counted = (attributes == value) & (decisions != MISSING)
    return ((decisions == value) & counted).sum(0).double() / counted.sum(0).double()


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
