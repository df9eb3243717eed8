"""Arguments of the face generator, and named sets of values: the repaired method, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode
from lightning_modules.face_attributes.inversion.settings import PAPER, InversionSettings
from lightning_modules.face_attributes.targets.completion import Completion
from lightning_modules.face_attributes.targets.linear_fits import Ridge

PresetName = Literal["default", "paper"]
CONTRAST = 1.4
PAPER_LAMBDA = 1e-5


@settings
class GeneratorSettings:
    """Arguments of `AttributeFaceGenerator`."""

    preset: PresetName = argument(
        default="default",
        help="Fills what is left at None: ``default``, or ``paper``: eq. 4 at one convolution, by SGD in pixels.",
        kw_only=False,
        free=True,
    )
    attribute_schema: dict[str, Any] | None = argument(
        default=None, help="Attributes in heads as plain values; the data module gives them, the classifier must agree."
    )
    image_size: int | None = argument(
        default=None, help="Side of the network's input in pixels; the data module gives it, the classifier must agree."
    )
    classifier_weights: str | None = argument(
        default=None, help="Checkpoint of a `FaceAttributeClassifier`: network, preprocessing and schema.", saved=False
    )
    statistics_weights: str | None = argument(
        default=None, help="File of statistics that were collected with it.", saved=False
    )
    classifier: dict[str, Any] | None = argument(
        default=None, help="Hyper-parameters of the classifier; a generator's own checkpoint brings them."
    )
    layers: list[str] | None = argument(
        default=None,
        help="Layers whose activations are counted and matched; names of the network before their ReLU.",
        free=True,
    )
    mode: GeneratorMode | None = argument(
        default=None,
        help=(
            "How targets are made: ``regression``, ``centred``, ``product``, ``sample``, ``nearest``, ``mean``, "
            "``paper`` or ``paper_equal`` (weights of 1); or ``reconstruct`` (the activations of source faces), "
            "``class_visualisation`` or ``heads`` (no target), ``mean_face`` or ``pixel_regression`` (no "
            "inversion)."
        ),
        free=True,
    )
    contrast: float | None = argument(
        default=None, help="Factor of the distance of a target from the mean of all faces.", free=True
    )
    ridge: float | Literal["cv"] | None = argument(
        default=None, help="Penalty of the fits, or ``cv``: the best of a path by cross-validation.", free=True
    )
    completion: Completion = argument(
        default="likely",
        help=(
            "What is not said is what is ``likely`` with what is (decided one by one), what is ``expected`` (an "
            "average), or as in the real face most ``alike``."
        ),
        free=True,
    )
    paper_draw: Literal["means", "samples"] = argument(
        default="means", help="``means`` (eq. 4) or ``samples`` (eq. 2) of the paper's Gaussians.", free=True
    )
    neighbours: int = argument(default=5, help="Real faces that ``nearest`` combines.", free=True)
    psi: float = argument(default=0.7, help="Scale of the noise of ``sample``.", free=True)
    inversion: InversionSettings | None = argument(default=None, help="How pictures are looked for.", free=True)
    folds: int = argument(default=5, help="Parts of the faces for cross-validation.")
    kept: int = argument(
        default=1500, help="Faces kept as they are, for ``nearest``, for noise and for the space of faces."
    )
    thumbnail: int = argument(default=64, help="Side of the kept faces in pixels.")
    equal_sets: bool = argument(
        default=False, help="Means and variances from random sets of equal size, as in the paper, instead of all faces."
    )
    equal_seed: int = argument(default=0, help="Seed of these sets.")


@dataclass(frozen=True)
class GeneratorConfig:
    """Values that a preset fills when they are left at None; see `GeneratorSettings`."""

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
