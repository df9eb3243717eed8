"""From requests to faces: targets from statistics, pictures by inversion, and the inverted network's own opinion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.classifier.layers import HEADS, CutNetwork, check_layers
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.inversion.class_visualisation import Charge, HeadsObjective
from lightning_modules.face_attributes.inversion.folding import fold_norms
from lightning_modules.face_attributes.inversion.parameterisation import ImageSpace, make_space
from lightning_modules.face_attributes.inversion.reconstruction import LayerReconstruction, reconstruct
from lightning_modules.face_attributes.inversion.search import (
    FeatureDistance,
    Inversion,
    Objective,
    optimise,
    starting_pictures,
    to_uint8,
)
from lightning_modules.face_attributes.inversion.settings import InversionSettings
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.targets.maker import TargetMaker, TargetMode, TargetOptions, pixel_regression

# Beside the modes of targets: the activations of source faces, two ways to use the heads alone, and two pictures that
# need no inversion, to compare with.
GeneratorMode = Literal[
    "mean", "paper", "paper_equal", "centred", "regression", "product", "sample", "nearest",
    "reconstruct", "class_visualisation", "heads", "mean_face", "pixel_regression",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class GeneratedFaces:
    """B faces and how they came about; all tensors are on the CPU.

    Attributes:
        image: uint8 ``(B, 3, S, S)``, RGB.
        history: Loss at each step, float32 ``(steps, B)``; no steps where nothing was optimised.
        steps: Steps each face took, int64 ``(B,)``.
        strip: Intermediate pictures, uint8 ``(B, N, 3, S, S)``.
        target_errors: Squared distance of a layer's activations from the target over the square of the target, float32
            ``(B,)`` by layer; empty where there was no target.
        target_distances: Distance of the target from the mean activation of training faces, over the root mean square
            distance of a training face from it, float32 ``(B,)`` by layer: 0 asks for the mean face.
        opinion: Probability of each attribute in the face by the inverted network itself, float32 ``(B, K)``.
    """

    image: Tensor
    history: Tensor
    steps: Tensor
    strip: Tensor
    target_errors: dict[str, Tensor]
    target_distances: dict[str, Tensor]
    opinion: Tensor


class FaceGenerator:
    """Makes faces with one network.

    Args:
        network: The classifier; it is taken over and frozen.
        preprocess: Its preprocessing.
        statistics: From a pass over training faces with the same network.
        layers: Layers whose activations are matched; the statistics must hold them, but for ``reconstruct``.
        settings: How pictures are looked for.

    Raises:
        ConfigurationError: If there is no such layer.
    """

    def __init__(
        self,
        network: FaceAttributeNetwork,
        preprocess: FacePreprocess,
        statistics: FaceStatistics,
        layers: Sequence[str],
        settings: InversionSettings,
    ) -> None:
        self._network = network
        self._folded: FaceAttributeNetwork | None = None
        self._preprocess = preprocess
        self._statistics = statistics
        self._layers = check_layers(network, layers)
        self._settings = settings
        self._makers: dict[tuple[TargetMode, TargetOptions], TargetMaker] = {}
        self._space: ImageSpace | None = None

    def __call__(
        self,
        attributes: Tensor,
        seeds: Tensor,
        mode: GeneratorMode,
        options: TargetOptions | None = None,
        sources: Tensor | None = None,
    ) -> GeneratedFaces:
        """Make B faces.

        Args:
            attributes: int8 ``(B, K)``: 1 asked for, 0 asked to be absent, -1 not said.
            seeds: Seed of each face, int64 ``(B,)``.
            mode: How.
            options: Of the targets.
            sources: Faces whose activations ``reconstruct`` matches, uint8 ``(B, 3, S, S)``.

        Raises:
            ConfigurationError: If the mode needs sources and there are none.
        """
        with torch.inference_mode(False):
            attributes = attributes.to(self._device, copy=True)
            if mode in ("mean_face", "pixel_regression"):
                return self._unoptimised(self._plain(attributes, mode, options or TargetOptions()))
            targets = self._targets(attributes, seeds, mode, options or TargetOptions(), sources)
            found, errors = self._optimised(attributes, seeds, targets, mode)
            image = to_uint8(found.pictures)
            known = [layer for layer in targets if layer in self._statistics.layers]
            distances = {layer: self._distance(layer, targets[layer]) for layer in known}
            return GeneratedFaces(
                image.cpu(), found.history, found.steps.cpu(), found.strip, errors, distances, self.opinion(image).cpu()
            )

    @torch.no_grad()
    def opinion(self, images: Tensor) -> Tensor:
        """Probabilities ``(B, K)`` of attributes in uint8 pictures, by the inverted network itself."""
        logits = self._network(self._preprocess(images.to(self._device)))
        return self._network.heads.probabilities(logits)

    @torch.no_grad()
    def decisions(self, images: Tensor) -> Tensor:
        """What the network says of uint8 pictures, int8 ``(B, K)``."""
        logits = self._network(self._preprocess(images.to(self._device)))
        return self._network.heads.decisions(logits)

    def reconstructions(self, sources: Tensor, seeds: Tensor) -> dict[str, LayerReconstruction]:
        """Invert each layer for itself, with the activations of the sources, uint8 ``(B, 3, S, S)``, as the target."""
        with torch.inference_mode(False):
            faces = to_uint8(_sized(sources.to(self._device).float() / 255, self._preprocess.side))
            return reconstruct(
                self._searched, self._preprocess, faces, self._layers, self._get_space(), self._settings,
                self._mean_image(), seeds.cpu(),
            )  # fmt: skip

    @property
    def _device(self) -> torch.device:
        return next(self._network.parameters()).device

    @property
    def _searched(self) -> FaceAttributeNetwork:
        """The network without the norms that would slow each step down."""
        if self._folded is None:
            self._folded = fold_norms(self._network.eval())
        return self._folded

    def _targets(
        self, attributes: Tensor, seeds: Tensor, mode: GeneratorMode, options: TargetOptions, sources: Tensor | None
    ) -> dict[str, Tensor]:
        if mode in ("class_visualisation", "heads"):
            return {}
        if mode == "reconstruct":
            if sources is None:
                raise ConfigurationError(
                    "The mode reconstruct matches the activations of given faces, but there are none: name pictures as "
                    "--data.init_args.path, or choose a mode that starts from attributes."
                )
            with torch.no_grad():
                images = self._preprocess(sources.to(self._device, copy=True))
                found = CutNetwork(self._network, self._layers)(images)
            return {layer: values.flatten(1) for layer, values in found.items()}
        key = (cast(TargetMode, mode), options)
        if key not in self._makers:
            self._makers[key] = TargetMaker(self._statistics, *key, layers=self._layers)
        made = self._makers[key](attributes.cpu(), seeds.cpu())
        return {layer: target.to(self._device) for layer, target in made.items()}

    def _optimised(
        self, attributes: Tensor, seeds: Tensor, targets: dict[str, Tensor], mode: GeneratorMode
    ) -> tuple[Inversion, dict[str, Tensor]]:
        settings = self._settings
        distance = self._distances(targets) if targets else None
        objective: Objective
        if distance is None:
            charge: Charge = "linear" if mode == "class_visualisation" else "saturating"
            objective = self._heads(CutNetwork(self._searched, [HEADS]), attributes, charge)
        elif settings.attribute_weight and mode != "reconstruct":
            objective = self._joint(distance, attributes)
        else:
            objective = distance
        start = starting_pictures(self._mean_image(), settings, seeds)
        found = optimise(objective, self._get_space(), settings, start, seeds)
        errors = distance.errors(found.pictures) if distance else {}
        return found, {layer: error.cpu() for layer, error in errors.items()}

    def _distances(self, targets: dict[str, Tensor]) -> FeatureDistance:
        settings, statistics = self._settings, self._statistics
        known = [layer for layer in self._layers if layer in statistics.layers]
        spreads = {layer: float(statistics.global_variance(layer).sum()) for layer in known}
        cut = CutNetwork(self._searched, self._layers)
        normalise = self._preprocess.normalise
        return FeatureDistance(cut, normalise, targets, settings.loss_scale, spreads, settings.layer_weights)

    def _heads(self, cut: CutNetwork, attributes: Tensor, charge: Charge) -> HeadsObjective:
        log_odds = self._network.heads.attribute_logits
        return HeadsObjective(cut, self._preprocess.normalise, log_odds, attributes, charge)

    def _joint(self, distance: FeatureDistance, attributes: Tensor) -> Callable[[Tensor], Tensor]:
        """Distance of features and loss of the heads from one pass."""
        cut = CutNetwork(self._searched, [*(layer for layer in self._layers if layer != HEADS), HEADS])
        heads, weight = self._heads(cut, attributes, "saturating"), self._settings.attribute_weight

        def losses(pictures: Tensor) -> Tensor:
            found = cut(self._preprocess.normalise(pictures))
            return distance.of_activations(found) + weight * heads.of_activations(found)

        return losses

    def _get_space(self) -> ImageSpace:
        if self._space is None:
            settings, kept = self._settings, self._statistics.kept
            thumbnails = kept.thumbnails if len(kept) else None
            space = make_space(
                settings.space, self._preprocess.side, thumbnails, settings.components, settings.spectrum_power
            )
            self._space = space.to(self._device)
        return self._space

    def _mean_image(self) -> Tensor:
        """Mean training face, float ``(3, S, S)`` in 0..1, of the size of the network's input."""
        image = self._statistics.mean_image.to(self._device, torch.float32, copy=True)
        return _sized(image[None], self._preprocess.side)[0]

    def _plain(self, attributes: Tensor, mode: GeneratorMode, options: TargetOptions) -> Tensor:
        """Pictures that need no inversion, float ``(B, 3, S, S)``."""
        if mode == "mean_face":
            return self._mean_image().expand(len(attributes), -1, -1, -1)
        # Of the same completed requests as every mode, but without contrast, which only costs the ghost agreement.
        found = pixel_regression(self._statistics, attributes.cpu(), options.ridge, options.completion)
        return _sized(found, self._preprocess.side)

    def _unoptimised(self, pictures: Tensor) -> GeneratedFaces:
        image, count = to_uint8(pictures).cpu(), len(pictures)
        history, steps = torch.zeros(0, count), torch.zeros(count, dtype=torch.long)
        return GeneratedFaces(image, history, steps, image[:, None][:, :0], {}, {}, self.opinion(image).cpu())

    def _distance(self, layer: str, target: Tensor) -> Tensor:
        mean, variance = self._statistics.global_mean(layer), self._statistics.global_variance(layer)
        away = (target.cpu().double() - mean).square().sum(dim=1)
        return (away / variance.sum().clamp_min(1e-30)).sqrt().float()


def check_mode(mode: str) -> GeneratorMode:
    """The mode, when there is one of that name.

    Example:
        >>> check_mode("regression")
        'regression'
    """
    if mode not in get_args(GeneratorMode):
        raise ConfigurationError(f"mode is {mode!r}: write one of {', '.join(get_args(GeneratorMode))}.")
    return cast(GeneratorMode, mode)


def _sized(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
