"""Which attributes a classifier was ever told; what its heads say of the others means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from datamodules.faces.schema import MISSING, AttributeSchema

KEY = "labelled_attributes"  # of a checkpoint


def labelled_in(schema: AttributeSchema, attributes: Tensor) -> frozenset[str]:
    """Names of the attributes that at least one face has a label for.

    Args:
        schema: K attributes.
        attributes: int8 ``(N, K)``: 1 present, 0 absent, -1 missing.
    """
    known = (attributes != MISSING).any(dim=0).tolist()
    return frozenset(name for name, told in zip(schema.attributes, known, strict=True) if told)


def labelled_of(checkpoint: Mapping[str, Any]) -> frozenset[str] | None:
    """Names that a checkpoint keeps; None where it keeps none, so that nothing is known about it."""
    names = checkpoint.get(KEY)
    return None if names is None else frozenset(map(str, names))


def without_unlabelled(
    answers: Mapping[str, Tensor], schema: AttributeSchema, labelled: frozenset[str] | None
) -> dict[str, Tensor]:
    """Answers with ``decision`` -1 and ``probability`` NaN of each attribute that was never labelled.

    Args:
        answers: ``probability`` float ``(B, K)`` and ``decision`` int8 ``(B, K)``.
        schema: K attributes.
        labelled: Those that were; None: not known, so all answers stay.

    Example:
        >>> from datamodules.faces.schema import Head
        >>> schema = AttributeSchema(("A", "B"), (Head("both", "overlapping", ("A", "B")),))
        >>> said = {"probability": torch.ones(1, 2), "decision": torch.ones(1, 2, dtype=torch.int8)}
        >>> without_unlabelled(said, schema, frozenset({"A"}))["decision"].tolist()
        [[1, -1]]
    """
    if labelled is None:
        return dict(answers)
    probability, decision = answers["probability"], answers["decision"]
    untold = torch.tensor([name not in labelled for name in schema.attributes], device=decision.device)
    return {
        "probability": probability.masked_fill(untold, torch.nan),
        "decision": decision.masked_fill(untold, MISSING),
    }
