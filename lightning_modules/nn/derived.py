"""Tensors that are derived from parameters, kept while the parameters stand still.

Evaluation repeats the same preparation for every batch: gathering bias tables, folding batch norms into convolutions.
`KeepsDerived` keeps such results and drops them the moment they could be wrong: on ``train()``, on loading weights, on
a move to another device or dtype, and when a source tensor was written in place since.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class KeepsDerived(nn.Module, Generic[Value]):
    """Base of modules that keep values derived from their parameters; see `derived`.

    Class attributes:
        derived_limit: Number of keys (shapes, dtypes) kept at a time; the oldest goes first.

    Example:
        >>> class Doubled(KeepsDerived[Tensor]):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.weight = nn.Parameter(torch.ones(1))
        ...     def forward(self):
        ...         return self.derived("twice", [self.weight], lambda: self.weight * 2)
        >>> doubled = Doubled().eval()
        >>> doubled() is doubled(), doubled.train().derived_count
        (True, 0)
    """

    derived_limit = 2

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[Hashable, tuple[tuple[tuple[int, int], ...], Value]] = {}
        self.register_load_state_dict_post_hook(_drop_after_load)  # type: ignore[no-untyped-call]  # torch has no types here

    @property
    def derived_count(self) -> int:
        """Number of values kept now."""
        return len(self._kept)

    def drop_derived(self) -> None:
        """Forget every kept value."""
        self._kept.clear()

    def train(self, mode: bool = True) -> Self:
        """Set the mode as `torch.nn.Module.train` does; entering training forgets what was kept."""
        if mode:
            self.drop_derived()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Forget what was kept before parameters move (``to``, ``cuda``, ``half`` all come through here)."""
        self.drop_derived()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]  # nor here

    def __getstate__(self) -> dict[str, object]:
        """Leave what was kept out of copies and pickles: a copy derives its own."""
        return {**self.__dict__, "_kept": {}}

    def derived(self, key: Hashable, sources: Sequence[Tensor], build: Callable[[], Value]) -> Value:
        """Value for ``key``, built without gradient if it is not kept or if a source has changed since.

        Args:
            key: What the value depends on beside the sources: shape, device, dtype.
            sources: Parameters and buffers that the value is made of.
            build: Makes the value.
        """
        if torch.compiler.is_exporting():  # a graph that is being exported has no tensors yet, and folds constants
            return build()
        stamps = tuple(_stamp(source) for source in sources)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == stamps:
            return kept[1]
        # An inference tensor could not be saved for a later backward pass, so none may be kept.
        with torch.inference_mode(False), torch.no_grad():
            value = build()
        self._kept.pop(key, None)
        while len(self._kept) >= self.derived_limit:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = (stamps, value)
        return value


def _stamp(tensor: Tensor) -> tuple[int, int]:
    """Identity of a tensor's content: address and count of in-place writes (inference tensors keep no count)."""
    return tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version


def _drop_after_load(module: nn.Module, incompatible: object) -> None:
    """Forget what was kept when weights were loaded, whether or not they fitted."""
    if isinstance(module, KeepsDerived):
        module.drop_derived()
