"""Which of several true attributes of a head a softmax is told, as the original script chose it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema

Labelling = Literal["repaired", "legacy_random"]
_MASK = (1 << 31) - 1


def legacy_random_labels(attributes: Tensor, index: Tensor, schema: AttributeSchema, seed: int = 0) -> Tensor:
    """Keep one attribute of each head that has several, chosen at random, and call the others absent.

    The original script drew its labels once, so the choice depends on the face alone, not on the epoch or the batch.

    Args:
        attributes: int8 ``(B, K)``: 1 present, 0 absent, -1 missing.
        index: Row of each face, int64 ``(B,)``.
        schema: The heads.
        seed: Of the choices.

    Returns:
        int8 ``(B, K)``; missing stays missing.

    Example:
        >>> from datamodules.faces.schema import Head
        >>> schema = AttributeSchema(("A", "B"), (Head("both", "overlapping", ("A", "B")),))
        >>> int(legacy_random_labels(torch.ones(1, 2, dtype=torch.int8), torch.tensor([7]), schema).sum())
        1
    """
    labels = attributes.clone()
    for head in schema.heads:
        if len(head.attributes) == 1:
            continue
        columns = torch.tensor(schema.indices(head), device=attributes.device)
        present = labels.index_select(1, columns) == PRESENT
        draws = _draws(index, columns, seed).masked_fill(~present, -1)
        chosen = draws == draws.amax(dim=1, keepdim=True)
        labels[:, columns] = torch.where(present & ~chosen, ABSENT, labels.index_select(1, columns)).to(labels.dtype)
    return labels


def _draws(index: Tensor, columns: Tensor, seed: int) -> Tensor:
    """Pseudo-random numbers in 0..2^31 ``(B, columns)``, a function of row, column and seed alone."""
    value = (index.unsqueeze(1) * 73_856_093) ^ (columns.unsqueeze(0) * 19_349_663) ^ (seed * 83_492_791)
    value = value & _MASK
    for factor in (0x45D9F3B, 0x119DE1F3):
        value = ((value ^ (value >> 16)) * factor) & _MASK
    return value ^ (value >> 15)
