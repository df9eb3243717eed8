"""Named sets of values of the face generator: the repaired method, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode
from lightning_modules.face_attributes.generator.settings import GeneratorSettings, PresetName
from lightning_modules.face_attributes.inversion.settings import PAPER, InversionSettings
from lightning_modules.face_attributes.targets.linear_fits import Ridge

CONTRAST = 1.4
PAPER_LAMBDA = 1e-5


@dataclass(frozen=True)
class GeneratorConfig:
    """Values that a preset fills when they are left at None.

    Attributes:
        layers: Layers whose activations are matched.
        mode: How targets are made.
        contrast: Factor of the distance of a target from the mean.
        ridge: Penalty of the fits, or "cv".
        inversion: How pictures are looked for.
    """

    layers: tuple[str, ...]
    mode: GeneratorMode
    contrast: float
    ridge: Ridge
    inversion: InversionSettings


def resolve_preset(given: GeneratorSettings, known: Sequence[str]) -> GeneratorConfig:
    """Values of a preset, with those that are given in its place.

    Args:
        given: Arguments. ``default`` is regression on a convolution and a fully connected layer; ``paper`` eq. 4 on a
            convolution alone, as the authors' code has it.
        known: Layers of the network, from the image to the heads.

    Raises:
        ConfigurationError: If there is no such preset, or a value cannot work.

    Example:
        >>> resolve_preset(GeneratorSettings(preset="paper"), ["conv3_1", "relu3_1", "fc6", "heads"]).layers
        ('conv3_1',)
    """
    if given.preset not in get_args(PresetName):
        raise ConfigurationError(
            f"There is no preset {given.preset!r}; choose one of {', '.join(get_args(PresetName))}."
        )
    paper = given.preset == "paper"
    ridge: Ridge = PAPER_LAMBDA if paper else "cv"
    inversion = InversionSettings(**given.inversion) if isinstance(given.inversion, Mapping) else given.inversion
    config = GeneratorConfig(
        layers=tuple(given.layers or default_layers(known)[: 1 if paper else None]),
        mode=given.mode or ("paper" if paper else "regression"),
        contrast=given.contrast if given.contrast is not None else (1.0 if paper else CONTRAST),
        ridge=given.ridge if given.ridge is not None else ridge,
        inversion=inversion or (PAPER if paper else InversionSettings()),
    )
    if config.contrast < 0 or (not isinstance(config.ridge, str) and config.ridge < 0):
        raise ConfigurationError(
            f"contrast is {config.contrast:g} and ridge {config.ridge}, but neither may be below 0: correct it."
        )
    return config


def default_layers(known: Sequence[str]) -> list[str]:
    """Deepest convolution and first fully connected layer of a VGG; of other networks, two layers far up.

    Example:
        >>> default_layers(["conv1_1", "relu1_1", "conv4_2", "relu4_2", "fc6", "relu6", "heads"])
        ['conv4_2', 'fc6']
        >>> default_layers(["stem", "layer1", "layer2", "layer3", "pool", "heads"])
        ['layer2', 'pool']
    """
    convolutions = [layer for layer in known if layer.startswith("conv") and "_" in layer]
    if convolutions and "fc6" in known:
        return [convolutions[-1], "fc6"]
    below = [layer for layer in known if layer != "heads"]
    return list(dict.fromkeys([below[len(below) // 2], below[-1]]))
