"""Which attributes a judge knows, as its answers on real faces show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def _share_right(decisions: Tensor, attributes: Tensor, value: int) -> tuple[Tensor, Tensor]:
    """Share of the labels ``value`` that were answered so, and their number, float64 ``(K,)`` each."""
    counted = (attributes == value) & (decisions != MISSING)
    number = counted.sum(0).double()
    return ((decisions == value) & counted).sum(0).double() / number, number
