"""Networks that must not learn: no gradient, evaluation mode for ever, no batch statistics that drift.

Setting ``requires_grad`` to false freezes less than it seems to: ``model.train()`` puts the batch norms of a "frozen"
network back into training mode, where their running statistics follow the new data, and a later conversion to
synchronised batch norms replaces them. `Freezable` closes both holes for a class of its own, `Frozen` for any module,
`PartlyFrozen` for the first parts of a network whose last parts learn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class FrozenBatchNorm(nn.Module):
    """Batch norm with fixed statistics: an affine map of each channel.

    It keeps the names of the entries of `torch.nn.BatchNorm2d`, so files fit, yet it is no batch norm to PyTorch:
    neither ``train()`` nor ``SyncBatchNorm.convert_sync_batchnorm`` touches it.

    Shape:
        - input: ``(N, C, ...)``, floating point.
        - output: the same shape.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance, as in the batch norm it stands for.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(num_features), requires_grad=False)
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @classmethod
    def from_batch_norm(cls, norm: _BatchNorm) -> FrozenBatchNorm:
        """Take over weights and statistics of an affine batch norm.

        Raises:
            ValueError: If the norm has no weights or keeps no running statistics, since nothing fixed is there to keep.
        """
        if norm.running_mean is None or not norm.affine:
            raise ValueError(f"A batch norm without running statistics and weights cannot be frozen: {norm}.")
        frozen = cls(norm.num_features, norm.eps)
        frozen.load_state_dict(norm.state_dict())
        return frozen.to(norm.weight.device, norm.weight.dtype)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """The map as ``x * scale + shift``, each of shape (C,)."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, ...)`` with the fixed statistics."""
        # PyTorch's own kernel: one pass over x, and half precision stays half precision under autocast.
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


def freeze_batch_norms(module: nn.Module) -> None:
    """Replace every batch norm below ``module`` by a `FrozenBatchNorm`, in place.

    Subclasses of PyTorch's own, such as timm's batch norm with an activation, do more than normalise and stay as they
    are: fixed in evaluation mode, but not out of reach of a conversion to synchronised batch norms.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and type(child) in _PLAIN_NORMS:
            setattr(module, name, FrozenBatchNorm.from_batch_norm(child))
        else:
            freeze_batch_norms(child)


class Freezable(nn.Module):
    """Base of modules that may be frozen for good with `freeze`.

    Once frozen, ``train()`` leaves the module and all below it in evaluation mode. Whether gradients *flow through* it
    (to what stands before it) is for ``forward`` to decide: parameters get none in any case.

    Example:
        >>> class Probe(Freezable):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.norm = nn.BatchNorm1d(2)
        >>> probe = Probe().freeze()
        >>> probe.train().training, probe.norm.weight.requires_grad
        (False, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False

    def freeze(self) -> Self:
        """Fix every parameter and batch statistic below, for ever; returns the module itself."""
        freeze_batch_norms(self)
        self.requires_grad_(False)
        self.frozen = True
        return self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode as `torch.nn.Module.train` does, except that a frozen module stays in evaluation mode."""
        return super().train(mode and not self.frozen)


def parts_before(module: nn.Module, count: int) -> list[str]:
    """Submodules and parameters that lie wholly in the first part of a network, for `PartlyFrozen`.

    The network is taken to use its modules in the order in which it defines them. Of a module that reaches beyond the
    first part, only what lies before its end is named.

    Args:
        module: The network.
        count: How many of its ``named_modules`` make up the first part, itself included.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
        >>> parts_before(network, 4), parts_before(network, 5)
        (['0', '1.0'], ['0', '1'])
    """
    names = [name for name, _ in module.named_modules()]
    later = set(names[count:])
    parts: list[str] = []
    for name in names[:count]:
        below = f"{name}." if name else ""
        if any(other.startswith(below) for other in later):  # holds learning parts too: only what is its own
            parts += [f"{below}{own}" for own, _ in module.get_submodule(name).named_parameters(recurse=False)]
        elif not any(name.startswith(f"{part}.") for part in parts):
            parts.append(name)
    return parts


def parts_but(module: nn.Module, learning: Iterable[str]) -> list[str]:
    """Largest submodules, and parameters, that hold nothing that learns, for `freeze_parts`.

    Args:
        module: The network.
        learning: Names of the parameters that learn.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
        >>> parts_but(network, ["1.0.bias"])
        ['0', '1.0.weight', '1.1']
    """
    kept = set(learning)
    parts = [name for name, _ in module.named_parameters(recurse=False) if name not in kept]
    for name, child in module.named_children():
        below = {one.removeprefix(f"{name}.") for one in kept if one.startswith(f"{name}.")}
        if below:
            parts += [f"{name}.{part}" for part in parts_but(child, below)]
        elif next(child.parameters(), None) is not None:
            parts.append(name)
    return parts


def freeze_parts(module: nn.Module, parts: Iterable[str]) -> tuple[str, ...]:
    """Freeze named parts of a network in place, and set them to evaluation mode.

    Args:
        module: The network.
        parts: Its submodules and parameters to freeze, by the names of ``named_modules`` and ``named_parameters``.

    Returns:
        Those that are submodules: their owner keeps them in evaluation mode.

    Raises:
        AttributeError: If there is no such part.
    """
    return tuple(name for name in parts if not _freeze_part(module, name))


def _freeze_part(module: nn.Module, name: str) -> bool:
    """Fix one part; returns whether it is a parameter, which knows no mode."""
    above, _, own = name.rpartition(".")
    parent = module.get_submodule(above)
    part = getattr(parent, own)
    part.requires_grad_(False)
    if isinstance(part, nn.Parameter):
        return True
    if type(part) in _PLAIN_NORMS:
        setattr(parent, own, FrozenBatchNorm.from_batch_norm(part))
    else:
        freeze_batch_norms(part)
    parent.get_submodule(own).train(False)
    return False


class PartlyFrozen(Freezable):
    """A network whose named parts are frozen for good, while the others learn; `freeze` fixes the whole of it.

    No gradient is kept below the first part that learns, since nothing there needs one.

    Args:
        module: The network; it is changed in place and reachable as ``.module``.
        parts: Its submodules and parameters to freeze, by the names of ``named_modules`` and ``named_parameters``.

    Raises:
        AttributeError: If there is no such part.

    Example:
        >>> network = PartlyFrozen(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)), ["0", "1"])
        >>> [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        ['module.2.weight', 'module.2.bias']
    """

    def __init__(self, module: nn.Module, parts: Iterable[str] = ()) -> None:
        super().__init__()
        self.module = module
        self._parts = freeze_parts(module, parts)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the parts that learn; the frozen ones stay in evaluation mode."""
        super().train(mode)
        for name in self._parts:
            self.module.get_submodule(name).train(False)
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the module; inputs and output are those of the module, without gradient once all is frozen."""
        with torch.no_grad() if self.frozen else contextlib.nullcontext():
            return cast(Tensor, self.module(*inputs))
