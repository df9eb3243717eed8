"""What is exported of a method: its graph, what goes in and out, and where in it a choice is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.commands.exported.manifest import TensorFacts
from lightning_modules.commands.exported.session import Array, Arrays

BATCH = "batch"
MOST = 1 << 12  # of a free axis, in steps; torch wants a bound
_EXAMPLE = {BATCH: 2, "height": 96, "width": 64}  # a batch of one would be exported as one for good

Select = Callable[[Arrays], NDArray[Any]]
Feed = Callable[[Arrays, NDArray[Any]], Array]


@dataclass(frozen=True)
class Plan:
    """What is exported of a method.

    Attributes:
        method: Name of its class.
        module: From the inputs, bytes, to a tuple of the outputs; in evaluation.
        inputs: What goes in, in order.
        outputs: What comes out, in order.
        facts: What `run-exported` needs around the graph, as JSON.
        continuous: Outputs that no choice lies before.
        select: Choice that follows from the outputs: numbers, or True where something is chosen.
        feed: Torch's ``scored`` output for inputs and a given choice; None where no output follows from one.
        scored: Name of that output.
    """

    method: str
    module: nn.Module
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    facts: dict[str, Any]
    continuous: tuple[str, ...]
    select: Select
    feed: Feed | None = None
    scored: str = ""

    def examples(self) -> tuple[Tensor, ...]:
        """Random bytes in the shapes of the inputs, two of a batch."""
        draws = torch.Generator().manual_seed(0)
        shapes = [
            [_EXAMPLE.get(axis, 0) if isinstance(axis, str) else axis for axis in one.shape] for one in self.inputs
        ]
        return tuple(torch.randint(0, 256, shape, generator=draws, dtype=torch.uint8) for shape in shapes)

    def free_axes(self) -> tuple[dict[int, Any], ...]:
        """Which axes of the inputs are free, as torch.export wants it."""
        names = {axis for one in self.inputs for axis in one.shape if isinstance(axis, str)}
        free = {name: torch.export.Dim(name, min=1, max=MOST) for name in names}
        return tuple(
            {
                place: free[axis] if axis == BATCH or one.step == 1 else one.step * free[axis]
                for place, axis in enumerate(one.shape)
                if isinstance(axis, str)
            }
            for one in self.inputs
        )

    @torch.inference_mode()
    def torch_outputs(self, inputs: Arrays) -> dict[str, Array]:
        """What torch says, by name."""
        given = [torch.from_numpy(np.ascontiguousarray(inputs[one.name])) for one in self.inputs]
        found: Sequence[Tensor] = self.module(*given)
        return {one.name: value.numpy() for one, value in zip(self.outputs, found, strict=True)}


def rows_of(batches: Iterator[Mapping[str, Array]], most: int) -> list[dict[str, Array]]:
    """Single rows of batches, ``most`` at most, each a batch of one."""
    rows: list[dict[str, Array]] = []
    for batch in batches:
        count = len(next(iter(batch.values())))
        rows += [{name: value[row : row + 1] for name, value in batch.items()} for row in range(count)]
        if len(rows) >= most:
            break
    return rows[:most]
