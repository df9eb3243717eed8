"""Parts of a network by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn

from datamodules.common.errors import ConfigurationError


def parameters_named(network: nn.Module, patterns: Sequence[str], argument: str) -> list[str]:
    """Names of the parameters that patterns name, each by its own name or by that of a module around it.

    Args:
        network: That has them.
        patterns: As of a shell: ``mid_block``, ``*.attentions``, ``*.norm?.bias``; ``*`` passes dots.
        argument: That gave the patterns, for the error.

    Raises:
        ConfigurationError: If a pattern names nothing.

    Example:
        >>> parameters_named(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), ["1", "*.bias"], "train_only")
        ['0.bias', '1.weight', '1.bias']
    """
    return _named([name for name, _ in network.named_parameters()], patterns, argument)


def layers_named(network: nn.Module, patterns: Sequence[str], argument: str) -> list[str]:
    """Names of the linear and convolutional layers that patterns name, likewise.

    Raises:
        ConfigurationError: If a pattern names none.

    Example:
        >>> layers_named(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), ["*"], "adapter_targets")
        ['0']
    """
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return _named(layers, patterns, argument)


def _named(names: Sequence[str], patterns: Sequence[str], argument: str) -> list[str]:
    around = {name: _around(name) for name in names}
    for pattern in patterns:
        if not any(fnmatchcase(one, pattern) for found in around.values() for one in found):
            raise ConfigurationError(
                f"{argument} names {pattern!r}, but the network has no such part{_near(pattern, around.values())}"
            )
    return [name for name, found in around.items() if any(fnmatchcase(one, p) for one in found for p in patterns)]


def _around(name: str) -> list[str]:
    """A name and those of all modules around it."""
    words = name.split(".")
    return [".".join(words[:end]) for end in range(1, len(words) + 1)]


def _near(pattern: str, around: Iterable[Sequence[str]]) -> str:
    known = dict.fromkeys(one for found in around for one in found)
    anywhere = dict.fromkeys(f"*.{one.rpartition('.')[2]}" for one in known)
    near = get_close_matches(pattern, [*known, *anywhere], n=3) or list(known)[:3]
    return f": name, for example, {', '.join(near)}"
