"""A random sample of the faces themselves, drawn while they stream by: thumbnails, labels and activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor

from lightning_modules.face_attributes.statistics.label_columns import index_hash

SCALE = 16.0  # kept activations are divided by it: float16 then reaches a million and is exact to 11 bits above 0.001
_SALT = 1


@dataclass(frozen=True, slots=True)
class KeptFaces:
    """n faces of the pass, in the order of their rows.

    Attributes:
        index: Row of each face in its split, int64 ``(n,)``.
        attributes: int8 ``(n, K)``.
        thumbnails: uint8 ``(n, 3, T, T)``, RGB.
        activations: By layer, float16 ``(n, F)``, divided by `SCALE`; read them with `layer`.
    """

    index: Tensor
    attributes: Tensor
    thumbnails: Tensor
    activations: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.index)

    def layer(self, name: str, rows: Tensor | slice | None = None) -> Tensor:
        """Activations of one layer, float32 ``(n, F)``, of all faces or of some."""
        values = self.activations[name]
        return (values if rows is None else values[rows]).float().mul_(SCALE)


class FaceSampler:
    """Keep the faces whose rows have the lowest hash: the same ones in any order, in any batches, on any ranks.

    Args:
        capacity: Number of faces to keep.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        self.priority = torch.full((capacity,), -1)
        self.parts: dict[str, Tensor] = {}

    def update(self, index: Tensor, parts: dict[str, Tensor]) -> None:
        """Offer faces.

        Args:
            index: int64 ``(B,)``.
            parts: Tensors of B rows by name; the same names, types and shapes of a row each time.
        """
        priority = index_hash(index.cpu(), _SALT)
        if not self.parts:
            self.parts = {
                name: torch.empty(self.capacity, *part.shape[1:], dtype=part.dtype) for name, part in parts.items()
            }
            self.parts["index"] = torch.empty(self.capacity, dtype=torch.int64)
        rows, slots = self._places(priority)
        if rows:
            for name, part in {**parts, "index": index}.items():
                self.parts[name][slots] = part[rows].cpu()

    def gathered(self, device: torch.device) -> FaceSampler:
        """The sampler of all processes of a distributed run; each must have been offered something, if only no rows.

        Args:
            device: Where the processes exchange tensors.
        """
        world = distributed.get_world_size()
        held = [torch.zeros((), dtype=torch.int64, device=device) for _ in range(world)]
        distributed.all_gather(held, torch.tensor(self.held, device=device))
        whole = FaceSampler(self.capacity)
        gathered = {name: _gather(part, world, device) for name, part in sorted(self.parts.items())}
        for rank, count in enumerate(held):
            parts = {name: part[rank][: int(count)] for name, part in gathered.items()}
            whole.update(parts.pop("index"), parts)
        return whole

    def finish(self) -> dict[str, Tensor]:
        """The kept rows in the order of ``index``, which is among them."""
        order = self.parts["index"][: self.held].argsort()
        return {name: part[: self.held][order] for name, part in self.parts.items()}

    def _places(self, priority: Tensor) -> tuple[list[int], list[int]]:
        """Rows to take, and the slot of each; a slot that two rows would take goes to the later one."""
        taken: dict[int, int] = {}
        for row, value in enumerate(priority.tolist()):
            if self.held < self.capacity:
                slot, self.held = self.held, self.held + 1
            else:
                slot = int(self.priority.argmax())
                if value >= int(self.priority[slot]):
                    continue
            self.priority[slot] = value
            taken[slot] = row
        return list(taken.values()), list(taken)


def _gather(part: Tensor, world: int, device: torch.device) -> list[Tensor]:
    """The tensor of every process, on the CPU; sent as bytes, since not every back end knows every type."""
    own = part.contiguous().view(-1).view(torch.uint8).to(device)
    parts = [torch.empty_like(own) for _ in range(world)]
    distributed.all_gather(parts, own)
    return [received.cpu().view(part.dtype).view(part.shape) for received in parts]
