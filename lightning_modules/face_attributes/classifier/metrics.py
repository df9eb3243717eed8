"""How often each attribute and each head is named right, beside what always saying the commoner answer would give."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema

NAMES = ("loss", "accuracy", "balanced_accuracy", "average_precision", "head_accuracy", "attributes_over_90")
WELL_KNOWN = 0.9


class AttributeScores(NamedTuple):
    """Measures of one attribute; NaN where the faces do not allow one.

    Attributes:
        name: Of the attribute.
        head: Name of its head.
        accuracy: Share of right decisions, 0..1.
        majority: Accuracy of always saying the commoner answer.
        balanced_accuracy: Mean of the accuracies on faces with and without it; needs both.
        f1: Harmonic mean of precision and recall.
        average_precision: Area under precision over recall, of the probabilities; needs both.
        present: Faces that show it.
        absent: Faces that do not.
        missing: Faces of which it is not known; they count nowhere.
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


class HeadScores(NamedTuple):
    """Measures of one head over the faces of which something of it is known.

    Attributes:
        name: Of the head.
        kind: How its attributes exclude each other.
        accuracy: Share of faces of which everything known is decided right, 0..1.
        majority: The same of always saying the one combination that is right most often.
        balanced_accuracy: Mean over its attributes that have one.
        faces: Faces that count.
    """

    name: str
    kind: str
    accuracy: float
    majority: float
    balanced_accuracy: float
    faces: int


class AttributeMetrics(Metric):
    """Measures of a split, exact for any number of processes and any batches.

    ``compute`` returns a dict of scalars: loss (mean over faces with labels), accuracy, balanced_accuracy and
    average_precision (means over the attributes that have them), head_accuracy (mean over heads) and
    attributes_over_90 (how many attributes have a balanced accuracy of at least 0.9); NaN without labels.

    Args:
        schema: K attributes in heads.

    Example:
        >>> from datamodules.faces.schema import Head
        >>> metrics = AttributeMetrics(AttributeSchema(("Hat",), (Head("hat", "binary", ("Hat",)),)))
        >>> probability = torch.tensor([[0.9], [0.2], [0.6], [0.5]])
        >>> labels = torch.tensor([[1], [0], [0], [-1]], dtype=torch.int8)
        >>> decision = (probability > 0.5).to(torch.int8)
        >>> metrics.update(probability, decision, labels, torch.zeros(4), torch.ones(4, dtype=torch.bool))
        >>> round(metrics.compute()["balanced_accuracy"].item(), 2), round(metrics.table()[0].majority, 2)
        (0.75, 0.67)
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    loss_sum: Tensor
    faces: Tensor
    probability: list[Tensor]
    decision: list[Tensor]
    attributes: list[Tensor]

    def __init__(self, schema: AttributeSchema) -> None:
        super().__init__()
        self.schema = schema
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("faces", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("probability", "decision", "attributes"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self._table: list[AttributeScores] = []
        self._heads: list[HeadScores] = []

    def update(self, probability: Tensor, decision: Tensor, attributes: Tensor, loss: Tensor, valid: Tensor) -> None:
        """Add a batch.

        Args:
            probability: ``(B, K)``, of presence.
            decision: int8 ``(B, K)``, 1 or 0.
            attributes: int8 ``(B, K)``, labels; -1 counts nowhere.
            loss: ``(B,)``, of each face.
            valid: bool ``(B,)``; rows with False are left out.
        """
        labelled = valid & (attributes != MISSING).any(dim=1)
        self.loss_sum += loss.detach()[labelled].double().sum()
        self.faces += labelled.sum()
        self.probability.append(probability.detach()[valid].float())
        self.decision.append(decision[valid])
        self.attributes.append(attributes[valid])

    def compute(self) -> dict[str, Tensor]:
        """Return each measure by name, float32, and renew the tables."""
        if int(self.faces) == 0:
            self._table, self._heads = [], []
            return dict.fromkeys(NAMES, torch.tensor(math.nan, device=self.device))
        probability, decision, attributes = (
            dim_zero_cat(part) for part in (self.probability, self.decision, self.attributes)
        )
        self._table = attribute_scores(self.schema, probability, decision, attributes)
        self._heads = head_scores(self.schema, decision, attributes, self._table)
        balanced = [row.balanced_accuracy for row in self._table]
        values = {
            "loss": float(self.loss_sum) / int(self.faces),
            "accuracy": known_mean([row.accuracy for row in self._table]),
            "balanced_accuracy": known_mean(balanced),
            "average_precision": known_mean([row.average_precision for row in self._table]),
            "head_accuracy": known_mean([row.accuracy for row in self._heads]),
            "attributes_over_90": float(sum(value >= WELL_KNOWN for value in balanced)),
        }
        return {name: torch.tensor(value, device=self.device) for name, value in values.items()}

    def table(self) -> list[AttributeScores]:
        """A row an attribute in the order of the schema, as `compute` last saw them; empty without labels."""
        return self._table

    def head_table(self) -> list[HeadScores]:
        """A row a head in the order of the schema, as `compute` last saw them; empty without labels."""
        return self._heads


def known_mean(values: list[float]) -> float:
    """Mean of the values that are numbers; NaN without any.

    Example:
        >>> known_mean([1.0, math.nan, 2.0])
        1.5
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def attribute_scores(
    schema: AttributeSchema, probability: Tensor, decision: Tensor, attributes: Tensor
) -> list[AttributeScores]:
    """A row of measures for each attribute, from float and int8 ``(N, K)``."""
    head_of = {name: head.name for head in schema.heads for name in head.attributes}
    yes, no, said = attributes == PRESENT, attributes == ABSENT, decision == PRESENT
    counts = {
        "present": yes.sum(dim=0).tolist(),
        "absent": no.sum(dim=0).tolist(),
        "missing": (attributes == MISSING).sum(dim=0).tolist(),
        "hits": (yes & said).sum(dim=0).tolist(),
        "false": (no & said).sum(dim=0).tolist(),
    }
    rows = []
    for column, name in enumerate(schema.attributes):
        present, absent, missing, hits, false = (counts[key][column] for key in counts)
        known = present + absent
        rows.append(
            AttributeScores(
                name,
                head_of[name],
                accuracy=_ratio(hits + absent - false, known),
                majority=_ratio(max(present, absent), known),
                balanced_accuracy=0.5 * (_ratio(hits, present) + _ratio(absent - false, absent)),
                f1=_ratio(2 * hits, present + hits + false),
                average_precision=average_precision(probability[:, column], attributes[:, column]),
                present=present,
                absent=absent,
                missing=missing,
            )
        )
    return rows


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def average_precision(probability: Tensor, labels: Tensor) -> float:
    """Area under precision over recall, a step at each distinct probability; NaN unless both answers occur.

    Args:
        probability: float ``(N,)``.
        labels: ``(N,)``, 1 and 0; other values are left out.

    Example:
        >>> round(average_precision(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([1, 0, 1])), 4)
        0.8333
    """
    known = labels != MISSING
    score, positive = probability[known].double(), (labels[known] == PRESENT)
    total = int(positive.sum())
    if total in (0, len(positive)):
        return math.nan
    score, order = score.sort(descending=True, stable=True)
    hits = positive[order].double().cumsum(0)
    last = torch.cat([score[1:] != score[:-1], score.new_ones(1, dtype=torch.bool)])  # of faces with equal scores
    found = hits[last]
    precision = found / (torch.arange(1, len(score) + 1, device=score.device)[last])
    gained = torch.diff(found, prepend=found.new_zeros(1))
    return float((precision * gained).sum() / total)


def head_scores(
    schema: AttributeSchema, decision: Tensor, attributes: Tensor, table: list[AttributeScores]
) -> list[HeadScores]:
    """A row of measures for each head, from the same tensors as `attribute_scores` and its rows."""
    balanced = {row.name: row.balanced_accuracy for row in table}
    rows = []
    for head in schema.heads:
        columns = torch.tensor(schema.indices(head), device=attributes.device)
        labels, said = attributes.index_select(1, columns), decision.index_select(1, columns)
        counts = (labels != MISSING).any(dim=1)
        labels, said = labels[counts], said[counts]
        faces = len(labels)
        guesses = torch.unique(torch.where(labels == MISSING, ABSENT, labels), dim=0)
        commonest = max((_agreeing(labels, guess) for guess in guesses), default=0)
        rows.append(
            HeadScores(
                head.name,
                head.kind,
                accuracy=_ratio(_agreeing(labels, said), faces),
                majority=_ratio(commonest, faces),
                balanced_accuracy=known_mean([balanced[name] for name in head.attributes]),
                faces=faces,
            )
        )
    return rows


def _agreeing(labels: Tensor, said: Tensor) -> int:
    """Faces of which everything known is as said; ``(N, members)`` and ``(N, members)`` or ``(members,)``."""
    return int(((labels == said) | (labels == MISSING)).all(dim=1).sum())
