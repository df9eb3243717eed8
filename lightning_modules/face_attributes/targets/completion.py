"""What a request leaves open, filled in from the faces that were seen."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics

Completion = Literal["expected", "likely", "alike"]
_RIDGE = 1.0  # faces: as if each label had been seen once more, apart from all others


def complete(statistics: FaceStatistics, attributes: Tensor, completion: Completion) -> Tensor:
    """The inputs of a regression for one request: one, present and missing of every attribute.

    Args:
        statistics: From a pass over the training faces.
        attributes: int8 ``(K,)``: 1 wanted, 0 wanted to be absent, -1 not said.
        completion: ``expected`` gives what is not said its expectation given the rest, by a regression of labels on
            labels; ``likely`` decides it one by one, the most certain first, each given all that are decided;
            ``alike`` copies it from the kept face whose labels agree best.

    Returns:
        float64 ``(1 + 2 K,)``, each in 0..1.
    """
    attributes = attributes.cpu()
    said = attributes != MISSING
    if completion == "alike" and not said.all():
        best = int(agreement(statistics, attributes).argmax())
        attributes = torch.where(said, attributes, statistics.kept.attributes[best])
        said = torch.ones_like(said)
    inputs = torch.cat([torch.ones(1), attributes == PRESENT, attributes == MISSING]).double()
    if not said.all():
        inputs[1:] = _completed(statistics, attributes, said, decide=completion == "likely")
    return inputs


def agreement(statistics: FaceStatistics, attributes: Tensor) -> Tensor:
    """How well each kept face agrees with a request, float64 ``(n,)`` in 0..1.

    An attribute counts by how rarely faces have the wanted value of it (minus the logarithm of their share), so that
    glasses decide more than the absence of a hat; where it is missing in a face, by that times the share.
    """
    share = statistics.present_share.clamp(1e-3, 1.0 - 1e-3)
    wanted = torch.where(attributes == PRESENT, share, 1.0 - share)
    worth = torch.where(attributes == MISSING, 0.0, -wanted.log())
    kept = statistics.kept.attributes
    match = torch.where(kept == MISSING, wanted, (kept == attributes).double())
    return (match * worth).sum(1) / worth.sum().clamp_min(1e-12)


def _completed(statistics: FaceStatistics, attributes: Tensor, said: Tensor, decide: bool) -> Tensor:
    """Present and missing of every attribute, float64 ``(2 K,)``, given what is said."""
    count = len(attributes)
    decided = torch.full((2 * count,), torch.nan, dtype=torch.float64)
    decided[:count][said], decided[count:][said] = (attributes[said] == PRESENT).double(), 0.0
    labels = _LabelDistribution(statistics)
    for number in said.nonzero()[:, 0].tolist():
        labels.fix(number, float(decided[number]), 0.0)
    while decide and not labels.fixed.all():
        present, missing = labels.mean[:count], labels.mean[count:]
        states = torch.stack([1.0 - present - missing, present, missing])
        certain = torch.where(labels.fixed, -torch.inf, states.amax(0))
        number = int(certain.argmax())
        state = int(states[:, number].argmax())
        labels.fix(number, float(state == 1), float(state == 2))
        decided[[number, count + number]] = torch.tensor([float(state == 1), float(state == 2)], dtype=torch.float64)
    return torch.where(decided.isnan(), labels.mean.clamp(0.0, 1.0), decided)


class _LabelDistribution:
    """Mean and covariance of present and missing, as more and more of them are known.

    Fixing the values one after the other gives the same as a ridge regression of the rest on all of them at once.
    """

    def __init__(self, statistics: FaceStatistics) -> None:
        columns = statistics.columns.regressors
        products = statistics.labels.sum(0)[columns, columns] / statistics.faces
        self.count = statistics.columns.attributes
        self.fixed = torch.zeros(self.count, dtype=torch.bool)
        self.mean = products[0, 1:].clone()
        self.noise = _RIDGE / statistics.faces
        self._covariance = products[1:, 1:] - torch.outer(self.mean, self.mean)

    def fix(self, number: int, present: float, missing: float) -> None:
        """Learn the two values of an attribute."""
        for place, value in ((number, present), (self.count + number, missing)):
            gain = self._covariance[place] / (self._covariance[place, place] + self.noise)
            self.mean += gain * (value - self.mean[place])
            self._covariance -= torch.outer(gain, self._covariance[place])
        self.fixed[number] = True


def filled(asked: Tensor, said: Tensor, schema: AttributeSchema) -> Tensor:
    """Fill what a request leaves open with what a face shows; what is asked for stays, and what it excludes goes.

    Args:
        asked: int8 ``(K,)``, completed; 1 asked for, 0 asked to be absent, -1 not said.
        said: What the face shows, int8 ``(K,)``.
        schema: The attributes and which exclude each other.

    Returns:
        int8 ``(K,)``.

    Example:
        >>> schema = AttributeSchema.from_file()
        >>> face = torch.zeros(len(schema.attributes), dtype=torch.int8)
        >>> face[schema.index("Blond Hair")] = face[schema.index("Smiling")] = 1
        >>> asked = torch.full_like(face, -1)
        >>> asked[schema.index("Bald")] = 1
        >>> both = filled(asked, face, schema)
        >>> [both[schema.index(name)].item() for name in ("Bald", "Blond Hair", "Smiling")]
        [1, 0, 1]
    """
    values = torch.where(asked == MISSING, said, asked)
    for pair in schema.contradictions:
        first, second = map(schema.index, pair)
        for wanted, other in ((first, second), (second, first)):
            if asked[wanted] == PRESENT and asked[other] == MISSING:
                values[other] = ABSENT
    return values
