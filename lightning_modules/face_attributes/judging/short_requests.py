"""Requests of a few attributes that real faces make, and what nobody would expect of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.faces.schema import MISSING, PRESENT

RARE = 0.5  # share of faces below which an attribute counts as one that nobody would expect
ASKED = 5  # attributes of a short request
_SALT = 7_368_787  # keeps the draws of short requests apart from others with the same seed


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
