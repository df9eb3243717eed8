"""Sums over faces of the activations of one layer, and what remains of them when the pass has ended."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.face_attributes.statistics.label_columns import LabelColumns


class LayerSums:
    """Sums of one layer of F units against Z columns of labels, in float64, apart for each fold.

    Squares are summed as they are: in float64 what a variance loses to them is its 1e-16 times (mean / deviation)^2.

    Args:
        columns: The columns of labels.
        folds: Number of folds.
        units: Number of units F.
        device: Where the sums are kept.
    """

    def __init__(self, columns: LabelColumns, folds: int, units: int, device: torch.device) -> None:
        self.columns = columns
        rows = 1 + columns.attributes
        self.cross = torch.zeros(folds, columns.count, units, dtype=torch.float64, device=device)
        self.squares = torch.zeros(rows, units, dtype=torch.float64, device=device)
        self.energy = torch.zeros(folds, dtype=torch.float64, device=device)
        self.lowest = torch.full((), torch.inf, dtype=torch.float64, device=device)

    def update(self, values: Tensor, design: Tensor, counts: list[int]) -> None:
        """Add faces that are sorted by fold.

        Args:
            values: Activations, float64 ``(B, F)``.
            design: Columns of their labels, float64 ``(B, Z)``.
            counts: Faces of each fold; their sum is B.
        """
        members = torch.cat([design[:, :1], design[:, self.columns.members]], 1)
        start = 0
        for fold, count in enumerate(counts):
            if count:
                part = slice(start, start + count)
                self.cross[fold].addmm_(design[part].T, values[part])
                self.energy[fold] += values[part].square().sum()
            start += count
        if start:
            self.squares.addmm_(members.T, values.square())
            self.lowest = torch.minimum(self.lowest, values.min())

    def finish(self) -> LayerStatistics:
        """What is kept: the sums over all faces, and of the folds only the products that cross-validation needs."""
        total = self.cross.sum(0)
        with_total = torch.stack([fold @ total.T for fold in self.cross])
        with_itself = torch.stack([fold @ fold.T for fold in self.cross])
        parts = (total, self.squares, self.energy, self.lowest, with_total, with_itself)
        return LayerStatistics(self.columns, *(part.detach().cpu() for part in parts))


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """Sums of the activations of one layer over all faces: all that its targets are computed from.

    Attributes:
        columns: The columns of labels, Z of them.
        cross: Sum of column times activation, float64 ``(Z, F)``.
        squares: Sum of squared activation over all faces and over those that give the mean of each attribute, float64
            ``(1 + K, F)``.
        energy: Sum of squared length of the activations, of each fold, float64 ``(folds,)``.
        lowest: The lowest activation seen, float64, no dimension; 0 or above after a ReLU.
        with_total: Product of each fold's ``cross`` with that of all faces, float64 ``(folds, Z, Z)``.
        with_itself: Product of each fold's ``cross`` with itself, float64 ``(folds, Z, Z)``.
    """

    columns: LabelColumns
    cross: Tensor
    squares: Tensor
    energy: Tensor
    lowest: Tensor
    with_total: Tensor
    with_itself: Tensor

    @property
    def units(self) -> int:
        """Number of units F."""
        return self.cross.shape[1]

    @property
    def rectified(self) -> bool:
        """Whether no activation is below zero, as after a ReLU."""
        return bool(self.lowest >= 0)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a file."""
        names = ("cross", "squares", "energy", "lowest", "with_total", "with_itself")
        return {name: getattr(self, name) for name in names}
