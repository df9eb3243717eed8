"""How one file of weights and one network of ours name the same numbers: entries that work in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import raise_for_keys

Tensors = Sequence[Tensor]
Convert = Callable[[Tensors], Tensors]


def _same(tensors: Tensors) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Entry:
    """Some tensors of a file and the tensors of ours that hold the same numbers.

    Attributes:
        theirs: Keys in the file.
        ours: Keys in the network.
        forward: Makes our tensors of theirs.
        backward: Makes theirs of ours.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    forward: Convert = _same
    backward: Convert = _same


def renamed(theirs: str, ours: str) -> Entry:
    """One tensor under two names."""
    return Entry((theirs,), (ours,))


def reshaped(theirs: str, ours: str, extra: int) -> Entry:
    """The weight of a 1 x 1 convolution with ``extra`` trailing axes of size 1 there, of a linear layer here."""

    def forward(tensors: Tensors) -> Tensors:
        return [t.flatten(1) if t.shape[2:] == (1,) * extra else t for t in tensors]

    def backward(tensors: Tensors) -> Tensors:
        return [t.view(*t.shape, *(1,) * extra) for t in tensors]

    return Entry((theirs,), (ours,), forward, backward)


def layer(theirs: str, ours: str, names: Sequence[str] = ("weight", "bias")) -> list[Entry]:
    """The parameters of one layer under two prefixes."""
    return [renamed(f"{theirs}.{name}", f"{ours}.{name}") for name in names]


def batch_norm(theirs: str, ours: str) -> list[Entry]:
    """Weights and statistics of one batch norm under two prefixes."""
    return layer(theirs, ours, ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))


@dataclass(frozen=True)
class KeyMap:
    """All that a source and a network have in common.

    Attributes:
        source: Name of the source.
        entries: What must be there.
        optional: Groups of entries (by name) of which a file holds all or nothing, such as the head.
        dropped: Keys, or prefixes that end in ``.``, that are left behind by name, each with its reason.
        index: Value that every ``relative_position_index`` of the file must have; None where there is none.
    """

    source: str
    entries: tuple[Entry, ...]
    optional: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    index: Tensor | None = None

    def read(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn a file's tensors into ours.

        Raises:
            CheckpointError: If a key is missing or left over (all are listed), or a stored index is not ours.
        """
        rest = {key: value for key, value in state.items() if not self.drops(key)}
        self._compare_indices(rest)
        rest = {key: value for key, value in rest.items() if not key.endswith("relative_position_index")}
        entries = self._present(rest)
        wanted = {key for entry in entries for key in entry.theirs}
        raise_for_keys(self.source, missing=wanted - set(rest), unexpected=set(rest) - wanted)
        ours: dict[str, Tensor] = {}
        for entry in entries:
            ours.update(zip(entry.ours, entry.forward([rest[key] for key in entry.theirs]), strict=True))
        return ours

    def write(self, state: Mapping[str, Tensor], parts: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Turn the network's tensors into the file's; what is dropped by name cannot come back.

        Args:
            state: State dict of the network.
            parts: Optional groups to write; None writes all.
        """
        chosen = set(self.optional if parts is None else parts)
        groups = [self.entries, *(group for name, group in self.optional.items() if name in chosen)]
        theirs: dict[str, Tensor] = {}
        for entry in (entry for group in groups for entry in group):
            written = entry.backward([state[key] for key in entry.ours])
            theirs.update((key, value.clone()) for key, value in zip(entry.theirs, written, strict=True))
        return theirs

    def covered(self, state: Mapping[str, Tensor]) -> set[str]:
        """Keys of ours that a file with these keys is bound to fill."""
        return {key for entry in self._present(state) for key in entry.ours}

    def present_parts(self, state: Mapping[str, Tensor]) -> list[str]:
        """Names of the optional groups of which the file holds at least one key."""
        return [name for name, group in self.optional.items() if any(k in state for e in group for k in e.theirs)]

    def _present(self, state: Mapping[str, Tensor]) -> list[Entry]:
        groups = [self.optional[name] for name in self.present_parts(state)]
        return [*self.entries, *(entry for group in groups for entry in group)]

    def drops(self, key: str) -> bool:
        """Whether a key of the file is left behind by name."""
        return any(key.startswith(name) if name.endswith(".") else key == name for name in self.dropped)

    def _compare_indices(self, state: Mapping[str, Tensor]) -> None:
        for key, value in state.items():
            if not key.endswith("relative_position_index") or self.index is None:
                continue
            if value.shape != self.index.shape or not torch.equal(value.to(self.index), self.index):
                raise CheckpointError(
                    f"The weights of {self.source} were made for another attention window: {key} of shape "
                    f"{tuple(value.shape)} is not our index of shape {tuple(self.index.shape)}; set window_size to "
                    "theirs."
                )
