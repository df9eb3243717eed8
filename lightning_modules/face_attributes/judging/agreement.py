"""How well faces show the attributes that were asked for, as another network sees them.

The paper asked a web service that is gone (Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning", 2016,
Table 2). Here a judge answers: a classifier of another architecture, trained on other faces, that no face was made
with. It may speak only of attributes that it knows, which its answers on real faces show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT

KNOWN = 0.90  # balanced accuracy from which a judge knows an attribute
RARE = 0.5  # share of faces below which an attribute counts as one that nobody would expect
ASKED = 5  # attributes of a short request
_SALT = 7_368_787  # keeps the draws of short requests apart from others with the same seed


def balanced_accuracy(decisions: Tensor, attributes: Tensor) -> Tensor:
    """Mean of recall and specificity of each attribute.

    Args:
        decisions: int8 ``(N, K)``, 1 present or 0 absent; -1 leaves a decision out.
        attributes: int8 ``(N, K)``, 1 present, 0 absent, -1 missing, which is left out.

    Returns:
        float64 ``(K,)`` in 0..1; NaN where one of both classes does not occur.

    Example:
        >>> balanced_accuracy(torch.tensor([[1], [0], [0]]), torch.tensor([[1], [1], [0]])).tolist()
        [0.75]
    """
    recall, _ = _share_right(decisions, attributes, PRESENT)
    specificity, _ = _share_right(decisions, attributes, ABSENT)
    return (recall + specificity) / 2


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


def attribute_shares(attributes: Tensor) -> tuple[Tensor, Tensor]:
    """How often attributes occur, alone and beside another.

    Args:
        attributes: Labels of real faces, int8 ``(N, K)``.

    Returns:
        Share of the faces with a label that show each attribute, float64 ``(K,)``; and ``(K, K)``: of the faces that
        show attribute i and have a label for j, the share that shows j. NaN where there is no such face.
    """
    present = (attributes == PRESENT).double()
    labelled = (attributes != MISSING).double()
    return present.sum(0) / labelled.sum(0), (present.T @ present) / (present.T @ labelled)


def expected_absent(requested: Tensor, attributes: Tensor) -> Tensor:
    """Attributes that a face of a short request should not show.

    Those that were not asked for, that less than half of all faces have, and that less than half of the faces with any
    one of the attributes asked for have: who asks for bangs gets a hidden forehead, too.

    Args:
        requested: int8 ``(N, K)``, 1 asked for.
        attributes: Labels of real faces, int8 ``(M, K)``.

    Returns:
        bool ``(N, K)``.
    """
    share, beside = attribute_shares(attributes)
    follows = (beside.nan_to_num(0.0) >= RARE).double()
    implied = ((requested == PRESENT).double() @ follows) > 0
    return (requested != PRESENT) & (share.nan_to_num(1.0) < RARE) & ~implied


class ShortRequests(NamedTuple):
    """Requests of a few attributes.

    Attributes:
        attributes: int8 ``(R, K)``: 1 asked for, -1 not said.
        rows: Row of the face that each was taken from, int64 ``(R,)``.
    """

    attributes: Tensor
    rows: Tensor


def short_requests(attributes: Tensor, usable: Tensor, seed: int, count: int = ASKED) -> ShortRequests:
    """Requests of a few attributes that real faces show together.

    Attributes that most faces have are not asked for: every face would fulfil that.

    Args:
        attributes: Label sets of real faces, int8 ``(N, K)``.
        usable: bool ``(K,)``; attributes that may be asked for.
        seed: Of the choice.
        count: Attributes of a request.

    Returns:
        At most N requests; faces that show fewer than ``count`` of the attributes are left out.
    """
    share, _ = attribute_shares(attributes)
    eligible = (attributes == PRESENT) & usable & (share.nan_to_num(1.0) < RARE)
    draws = torch.rand(attributes.shape, generator=torch.Generator().manual_seed(seed + _SALT), dtype=torch.float64)
    ranked = torch.where(eligible, draws, torch.full_like(draws, -1.0)).argsort(dim=1, descending=True)[:, :count]
    requests = torch.full_like(attributes, MISSING).scatter_(1, ranked, PRESENT)
    rows = torch.nonzero(eligible.sum(1) >= count).flatten()
    return ShortRequests(requests[rows], rows)


def chance_decisions(attributes: Tensor, number: int, seed: int) -> Tensor:
    """Answers drawn at random with the shares of real faces, int8 ``(number, K)``: the chance line."""
    share, _ = attribute_shares(attributes)
    draws = torch.rand((number, len(share)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draws < share.nan_to_num(0.0)).to(torch.int8)


def _share_right(decisions: Tensor, attributes: Tensor, value: int) -> tuple[Tensor, Tensor]:
    """Share of the labels ``value`` that were answered so, and their number, float64 ``(K,)`` each."""
    counted = (attributes == value) & (decisions != MISSING)
    number = counted.sum(0).double()
    return ((decisions == value) & counted).sum(0).double() / number, number


def _ratio(part: Tensor, whole: Tensor) -> float:
    return part.item() / whole.item() if whole.item() else math.nan
