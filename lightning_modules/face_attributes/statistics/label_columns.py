"""What the statistics of activations are taken against: columns made of the labels of each face.

Everything that is later computed, the means of the attributes, the weights of the mixture and a regression of
activations on attributes, follows from products of these columns with each other and with the activations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import MISSING, PRESENT

_FIRST, _SECOND, _STEP = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64), 0x9E3779B97F4A7C15 - (1 << 64)


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """Where each column stands: one of ones, K present, K missing, K shares, and K sets if there are sets.

    A share is 1/|C| for each of the |C| attributes that a face has, as eq. 4 of the paper divides, and 0 for the rest.

    Attributes:
        attributes: Number of attributes K.
        sets: Whether the last K columns mark the faces that belong to the random set of each attribute.

    Example:
        >>> columns = LabelColumns(2, False)
        >>> columns.of(torch.tensor([[1, -1]], dtype=torch.int8)).tolist()
        [[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]]
    """

    attributes: int
    sets: bool = False

    @property
    def count(self) -> int:
        """Number of columns Z."""
        return 1 + self.attributes * (4 if self.sets else 3)

    @property
    def present(self) -> slice:
        """The columns that are 1 where an attribute is present."""
        return self._block(0)

    @property
    def missing(self) -> slice:
        """The columns that are 1 where an attribute is missing."""
        return self._block(1)

    @property
    def shares(self) -> slice:
        """The columns that are 1/|C| where an attribute is present."""
        return self._block(2)

    @property
    def members(self) -> slice:
        """The columns whose faces give the mean of each attribute: its random set, or all faces that have it."""
        return self._block(3) if self.sets else self.present

    @property
    def regressors(self) -> slice:
        """One, present and missing: the inputs of a regression on the attributes."""
        return slice(0, 1 + 2 * self.attributes)

    def of(self, attributes: Tensor, members: Tensor | None = None) -> Tensor:
        """The columns of some faces.

        Args:
            attributes: int8 ``(B, K)`` of 1, 0 and -1.
            members: bool ``(B, K)``, which random sets each face belongs to; needed when there are sets.

        Returns:
            float64 ``(B, Z)``.
        """
        present = (attributes == PRESENT).double()
        shares = present / present.sum(1, keepdim=True).clamp_min(1.0)
        parts = [present.new_ones(len(present), 1), present, (attributes == MISSING).double(), shares]
        if self.sets and members is not None:
            parts.append(members.to(present))
        return torch.cat(parts, 1)

    def _block(self, number: int) -> slice:
        return slice(1 + number * self.attributes, 1 + (number + 1) * self.attributes)


def draw_equal_sets(attributes: Tensor, seed: int, size: int | None = None) -> Tensor:
    """Draw as many faces for each attribute as the rarest one has (Cate, Dalvi, Hussain 2016, section 3.3.2).

    Args:
        attributes: int8 ``(N, K)``, the labels of all N faces of a split, in the order of their rows.
        seed: Gives the draw.
        size: Faces in each set; None takes as many as the rarest attribute that occurs at all has.

    Returns:
        bool ``(N, K)``: face i belongs to the set of attribute j. An attribute that no face has gets no face.

    Raises:
        ConfigurationError: If ``size`` is below two or an attribute has fewer faces than that, but not none.

    Example:
        >>> labels = torch.tensor([[1, 1], [1, 0], [1, 1], [1, -1]], dtype=torch.int8)
        >>> draw_equal_sets(labels, seed=0).sum(0).tolist()
        [2, 2]
    """
    present = attributes == PRESENT
    counts = present.sum(0)
    occurring = counts[counts > 0]
    rarest = int(occurring.min()) if len(occurring) else 0
    wanted = rarest if size is None else size
    if wanted < 2 or wanted > rarest:
        raise ConfigurationError(
            f"Sets of {wanted} faces cannot be drawn for each attribute: the rarest one has {rarest} faces, and a "
            "variance needs two: exclude rare attributes, or choose a size between."
        )
    rows = torch.arange(len(present))
    sets = torch.zeros_like(present)
    for column in range(present.shape[1]):
        having = rows[present[:, column].cpu()]
        order = index_hash(having, seed * present.shape[1] + column + 2).argsort()
        sets[having[order[:wanted]], column] = True
    return sets & present


def index_hash(index: Tensor, salt: int) -> Tensor:
    """Mix row numbers to 63 random bits that depend on nothing else, by the final steps of SplitMix64.

    Args:
        index: int64 of any shape.
        salt: Gives another mix of the same rows.

    Returns:
        int64 of the same shape, 0 or above.

    Example:
        >>> index_hash(torch.arange(3), 0).unique().numel()
        3
    """
    mixed = index.long() + (salt + 1) * _STEP % (1 << 63)
    mixed = (mixed ^ _shifted(mixed, 30)) * _FIRST
    mixed = (mixed ^ _shifted(mixed, 27)) * _SECOND
    return _shifted(mixed ^ _shifted(mixed, 31), 1)


def _shifted(values: Tensor, places: int) -> Tensor:
    """Shift to the right without keeping the sign."""
    return (values >> places) & ((1 << (64 - places)) - 1)
