"""Arguments of the face generator."""

from __future__ import annotations

from typing import Any, Literal

from datamodules.common.settings import argument, settings
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode
from lightning_modules.face_attributes.inversion.settings import InversionSettings
from lightning_modules.face_attributes.targets.completion import Completion

PresetName = Literal["default", "paper"]


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
