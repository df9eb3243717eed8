"""What the answers about attributes are worth, an attribute and a head at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.face_attributes.schema import ABSENT, MISSING, PRESENT, AttributeSchema

FACTS = ("probability", "decision", "attributes")  # what a test step returns of each face


class AttributeRow(NamedTuple):
    """Measures of one attribute over the faces that have a label for it; NaN where they cannot be said.

    Attributes:
        name: Of the attribute.
        head: Of its head.
        accuracy: Share of right answers, 0..1.
        majority: The same for whoever always gives the more frequent answer.
        balanced_accuracy: Mean of recall and specificity; 0.5 for whoever always gives one answer.
        f1: Of "present".
        average_precision: Area under precision over recall of the probabilities.
        present: Faces that show it.
        absent: Faces that do not.
        missing: Faces without a label for it.
    """

    name: str
    head: str
    accuracy: float
    majority: float
    balanced_accuracy: float
    f1: float
    average_precision: float
    present: int
    absent: int
    missing: int


class HeadRow(NamedTuple):
    """Measures of one head over the faces that have labels for all of its attributes.

    Attributes:
        name: Of the head.
        kind: How its attributes exclude each other.
        accuracy: Share of the faces with every attribute of the head answered right.
        majority: Share of the most frequent set of labels.
        balanced_accuracy: Mean over its attributes.
        faces: Faces that count.
    """

    name: str
    kind: str
    accuracy: float
    majority: float
    balanced_accuracy: float
    faces: int


def schema_of(module: L.LightningModule) -> AttributeSchema:
    """The attributes of a model.

    Raises:
        ConfigurationError: If it has none.
    """
    plain = getattr(module, "hparams", {}).get("attribute_schema")
    if not isinstance(plain, Mapping):
        raise ConfigurationError(
            f"This callback needs a model with an attribute_schema, but {type(module).__name__} has none: leave it out."
        )
    return AttributeSchema.from_plain(cast(Mapping[str, Any], plain))


def pick_facts(outputs: Mapping[str, Any], callback: str, names: Sequence[str] = FACTS) -> dict[str, Tensor]:
    """Columns of a test step's answer, on the CPU's terms of memory: int8 and float32.

    Raises:
        ConfigurationError: If the model's test step does not give them.
    """
    lacking = [name for name in names if name not in outputs]
    if lacking:
        raise ConfigurationError(
            f"{callback} needs a model whose test step returns {', '.join(lacking)}, but this one returns "
            f"{', '.join(outputs) or 'nothing'}: leave the callback out."
        )
    return {name: outputs[name].float() if outputs[name].is_floating_point() else outputs[name] for name in names}


def attribute_rows(
    schema: AttributeSchema, probability: Tensor, decision: Tensor, labels: Tensor
) -> list[AttributeRow]:
    """Measure every attribute.

    Args:
        schema: Of K attributes.
        probability: ``(N, K)`` in 0..1.
        decision: int8 ``(N, K)``.
        labels: int8 ``(N, K)``; -1 is left out.
    """
    head_of = {name: head.name for head in schema.heads for name in head.attributes}
    columns = zip(probability.double().numpy().T, decision.numpy().T, labels.numpy().T, strict=True)
    return [
        _attribute_row(name, head_of[name], *column) for name, column in zip(schema.attributes, columns, strict=True)
    ]


def _attribute_row(
    name: str, head: str, probability: NDArray[np.float64], decision: NDArray[np.int8], labels: NDArray[np.int8]
) -> AttributeRow:
    present, absent = int((labels == PRESENT).sum()), int((labels == ABSENT).sum())
    found = int(((labels == PRESENT) & (decision == PRESENT)).sum())
    spared = int(((labels == ABSENT) & (decision == ABSENT)).sum())
    labelled = present + absent
    both = present > 0 and absent > 0
    known = labels != MISSING
    return AttributeRow(
        name,
        head,
        accuracy=_share(found + spared, labelled),
        majority=_share(max(present, absent), labelled),
        balanced_accuracy=(found / present + spared / absent) / 2 if both else math.nan,
        f1=_share(2 * found, present + found + absent - spared),
        average_precision=float(average_precision_score(labels[known], probability[known])) if both else math.nan,
        present=present,
        absent=absent,
        missing=len(labels) - labelled,
    )


def head_rows(
    schema: AttributeSchema, decision: Tensor, labels: Tensor, attributes: Sequence[AttributeRow]
) -> list[HeadRow]:
    """Measure every head.

    Args:
        schema: Of K attributes.
        decision: int8 ``(N, K)``.
        labels: int8 ``(N, K)``.
        attributes: The rows of the attributes.
    """
    rows = []
    balanced = {row.name: row.balanced_accuracy for row in attributes}
    for head in schema.heads:
        columns = schema.indices(head)
        known = (labels[:, columns] != MISSING).all(dim=1)
        wanted, answers = labels[known][:, columns], decision[known][:, columns]
        faces = len(wanted)
        commonest = int(torch.unique(wanted, dim=0, return_counts=True)[1].max()) if faces else 0
        right = int((answers == wanted).all(dim=1).sum())
        mean = mean_of([balanced[name] for name in head.attributes])
        rows.append(HeadRow(head.name, head.kind, _share(right, faces), _share(commonest, faces), mean, faces))
    return rows


def mean_of(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; NaN where none is.

    Example:
        >>> mean_of([1.0, float("nan"), 2.0])
        1.5
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
