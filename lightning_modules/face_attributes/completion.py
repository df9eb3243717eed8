"""What a request leaves open, filled in from the faces that were seen."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datamodules.face_attributes.schema import MISSING, PRESENT
from lightning_modules.face_attributes.statistics import FaceStatistics

Completion = Literal["expected", "alike"]
_RIDGE = 1.0  # faces: as if each label had been seen once more, apart from all others


def complete(statistics: FaceStatistics, attributes: Tensor, completion: Completion) -> Tensor:
    """The inputs of a regression for one request: one, present and missing of every attribute.

    Args:
        statistics: From a pass over the training faces.
        attributes: int8 ``(K,)``: 1 wanted, 0 wanted to be absent, -1 not said.
        completion: ``expected`` gives what is not said its expectation given the rest, by a regression of labels on
            labels; ``alike`` copies it from the kept face whose labels agree best.

    Returns:
        float64 ``(1 + 2 K,)``, each in 0..1.
    """
    attributes = attributes.cpu()
    if completion == "alike" and (attributes == MISSING).any():
        best = int(agreement(statistics, attributes).argmax())
        attributes = torch.where(attributes == MISSING, statistics.kept.attributes[best], attributes)
    said = attributes != MISSING
    inputs = torch.cat([torch.ones(1), attributes == PRESENT, torch.zeros(len(attributes))]).double()
    if completion == "alike":
        inputs[1 + len(attributes) :] = (~said).double()
        return inputs
    return inputs if bool(said.all()) else _expected(statistics, inputs, said)


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


def _expected(statistics: FaceStatistics, inputs: Tensor, said: Tensor) -> Tensor:
    columns = statistics.columns.regressors
    products = statistics.labels.sum(0)[columns, columns]
    known = torch.cat([torch.ones(1, dtype=torch.bool), said, said])
    penalty = torch.full((int(known.sum()),), _RIDGE, dtype=torch.float64)
    penalty[0] = 0.0
    factor = torch.linalg.cholesky(products[known][:, known] + torch.diag(penalty))
    coefficients = torch.cholesky_solve(products[known][:, ~known], factor)
    completed = inputs.clone()
    completed[~known] = (inputs[known] @ coefficients).clamp(0.0, 1.0)
    return completed
