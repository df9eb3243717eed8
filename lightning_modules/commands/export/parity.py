"""How far a graph is from torch on the same input: before any choice, the choices, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ExportError
from lightning_modules.commands.export.plan import Plan
from lightning_modules.commands.exported.session import Array, Arrays

TOLERANCE = 1e-3  # of a tensor's scale
BATCHES = (1, 3, 8)

Run = Callable[[Arrays], dict[str, Array]]


class Parity(NamedTuple):
    """How far a graph is from torch.

    Attributes:
        differences: Largest difference of each tensor as a share of its largest value.
        equal: Share of choices that are the same; of places that either chooses, where places are chosen.
        rows: Number of different rows that were compared.
    """

    differences: dict[str, float]
    equal: float
    rows: int

    def table(self) -> str:
        """Lines to read."""
        width = max(map(len, self.differences), default=0) + 2
        lines = [f"  {name:<{width}}{value:.1e}" for name, value in self.differences.items()]
        return "\n".join(
            ["difference from torch, as a share of each tensor's largest value:", *lines,
             f"  the same choices: {self.equal:.4%} ({self.rows} inputs, in batches of 1, 3 and 8)"]
        )  # fmt: skip

    def check(self) -> None:
        """Refuse a graph that computes something else.

        Raises:
            ExportError: If a tensor differs by more than a thousandth of its scale.
        """
        worst = max(self.differences, key=lambda name: _nan_last(self.differences[name]), default=None)
        if worst is not None and not self.differences[worst] <= TOLERANCE:
            raise ExportError(
                f"the graph is not the network: {worst} differs from torch by {self.differences[worst]:.1e} of its "
                f"scale on the same input, but {TOLERANCE:.0e} is allowed; nothing was written"
            )


def compare(plan: Plan, graph: Run, rows: Sequence[Arrays]) -> Parity:
    """Run both on the same rows, in batches of 1, 3 and 8."""
    largest: dict[str, float] = {}
    scale: dict[str, float] = {}
    same = total = 0
    for inputs in batches(rows):
        ours, theirs = plan.torch_outputs(inputs), graph(inputs)
        pairs = [(name, ours[name], theirs[name]) for name in plan.continuous]
        chosen = plan.select(theirs)
        if plan.feed is not None:
            pairs.append((f"{plan.scored}, the same choice fed in", plan.feed(inputs, chosen), theirs[plan.scored]))
        for name, own, other in pairs:
            difference = np.abs(own.astype(np.float64) - other).max(initial=0.0)
            largest[name] = max(largest.get(name, 0.0), _nan_last(float(difference)))
            scale[name] = max(scale.get(name, 0.0), float(np.abs(own).max(initial=0.0)))
        equal, count = agreement(plan.select(ours), chosen)
        same, total = same + equal, total + count
    return Parity(
        {name: value / scale[name] if scale[name] else value for name, value in largest.items()},
        same / total if total else 1.0,
        len(rows),
    )


def agreement(first: NDArray[Any], second: NDArray[Any]) -> tuple[int, int]:
    """How many choices are the same, of how many; of chosen places, those that both choose of those that either does.

    Example:
        >>> agreement(np.array([1, 2]), np.array([1, 3])), agreement(np.array([True, False]), np.array([True, True]))
        ((1, 2), (1, 2))
    """
    if first.dtype == np.bool_:
        return int((first & second).sum()), int((first | second).sum())
    return int((first == second).sum()), first.size


def batches(rows: Sequence[Arrays]) -> Iterator[Arrays]:
    """Batches of 1, 3, 8, 8, ... of rows of one shape; rows are repeated so that each of these sizes occurs."""
    shapes: dict[tuple[Any, ...], list[Arrays]] = {}
    for row in rows:
        shapes.setdefault(tuple(value.shape for value in row.values()), []).append(row)
    for group in shapes.values():
        first = 0
        sizes = list(BATCHES)
        while sizes or first < len(group):
            size = sizes.pop(0) if sizes else BATCHES[-1]
            part = [group[(first + place) % len(group)] for place in range(size)]
            yield {name: np.concatenate([row[name] for row in part]) for name in part[0]}
            first += size


def _nan_last(value: float) -> float:
    return np.inf if np.isnan(value) else value
