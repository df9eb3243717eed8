"""Low-rank adapters beside the frozen layers of a network (LoRA, Hu et al., ICLR 2022), by peft."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from types import ModuleType
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.frozen import freeze_parts, parts_but
from lightning_modules.nn.parts import layers_named, parameters_named


class Adapters(NamedTuple):
    """Adapters of some layers: ``W + alpha / rank * B A``, where B is zero at first.

    Attributes:
        rank: Of the product ``B A``.
        alpha: Scale times rank; None takes the rank, a scale of 1.
        targets: Patterns of the names of linear or convolutional layers.
    """

    rank: int
    alpha: float | None
    targets: Sequence[str]


@runtime_checkable
class Adapted(Protocol):
    """A layer with an adapter, as peft has it."""

    def merge(self) -> None:
        """Add the adapter's product to the layer's weight."""

    def get_base_layer(self) -> nn.Module:
        """The layer alone."""


def peft() -> ModuleType:
    """The library of low-rank adapters, imported when it is needed: it is slow to import, and an extra.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import peft as found
    except ImportError as error:
        raise ConfigurationError(
            f"adapters need the package {error.name}: install it with `pip install 'appraise[diffusion]'`, or leave "
            "adapter_rank out"
        ) from error
    return found


def add_adapters(network: nn.Module, adapters: Adapters) -> None:
    """Put adapters beside layers, in place, and freeze all other parameters.

    Raises:
        ConfigurationError: If a pattern names no layer, or peft is not installed.
    """
    layers = layers_named(network, adapters.targets, "adapter_targets")
    library = peft()
    config = library.LoraConfig(
        r=adapters.rank,
        lora_alpha=adapters.rank if adapters.alpha is None else adapters.alpha,
        target_modules="|".join(map(re.escape, layers)),
    )
    library.inject_adapter_in_model(config, network)


def learn_only(network: nn.Module, named: Sequence[str] | None, adapters: Adapters | None) -> tuple[str, ...]:
    """Freeze all of a network but named parts and adapters, in place.

    Args:
        network: With its weights.
        named: Patterns of what learns; None means all, or with adapters nothing but these.
        adapters: Put in; None for none.

    Returns:
        Frozen submodules, which are to stay in evaluation mode.

    Raises:
        ConfigurationError: If a pattern names nothing.
    """
    kept = None if named is None else set(parameters_named(network, named, "train_only"))
    learning = [value for name, value in network.named_parameters() if kept is None or name in kept]
    if adapters is not None:
        add_adapters(network, adapters)
        learning = [] if named is None else learning
        learning += [value for value in network.parameters() if value.requires_grad]
    found = set(map(id, learning))
    for value in learning:
        value.requires_grad_(True)
    return freeze_parts(
        network, parts_but(network, [n for n, value in network.named_parameters() if id(value) in found])
    )


def without_adapters(network: nn.Module) -> nn.Module:
    """A network of plain layers that says the same, to be saved or tuned again.

    The network is left as it is; it is given back itself where it has no adapter.
    """
    if not any(isinstance(layer, Adapted) for layer in network.modules()):
        return network
    copied = deepcopy(network)
    for name, layer in list(copied.named_modules()):
        if isinstance(layer, Adapted):
            layer.merge()
            copied.set_submodule(name, layer.get_base_layer())
    del copied.peft_config
    return copied.requires_grad_(True)
