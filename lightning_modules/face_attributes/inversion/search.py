"""Feature inversion: pictures whose activations match given targets, many at once, each as if it were alone.

`optimise` moves the coordinates of pictures against any objective; `FeatureDistance` is the objective of eq. 1 of the
paper, for one layer or several. Everything runs where gradients are switched off too, as in ``predict``.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.inversion.batched_lbfgs import minimise
from lightning_modules.face_attributes.inversion.parameterisation import ImageSpace
from lightning_modules.face_attributes.inversion.regularisers import (
    alpha_norm,
    asymmetry,
    slight_blur,
    total_variation,
    unlikeliness,
)
from lightning_modules.face_attributes.inversion.robust_views import RobustViews, face_generator
from lightning_modules.face_attributes.inversion.settings import InversionSettings, LossScale

log = logging.getLogger(__name__)

_VARIETY_STREAM = 1_000_000_007
_TALK_SECONDS = 10.0  # between two lines about a search that takes long

# Losses (B,) of pictures (B, 3, S, S) in 0..1.
Objective = Callable[[Tensor], Tensor]
# Activations by layer of normalised pictures.
Cut = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Inversion:
    """What a search found.

    Attributes:
        pictures: float32 ``(B, 3, S, S)`` in 0..1.
        history: What the objective and the charges added up to at each step, float32 ``(steps, B)``, on the CPU; a face
            that rests repeats its last value.
        steps: Steps that each face took until it rested, int64 ``(B,)``.
        strip: Intermediate pictures, uint8 ``(B, N, 3, S, S)`` on the CPU; N is 0 where none were asked for.
    """

    pictures: Tensor
    history: Tensor
    steps: Tensor
    strip: Tensor


class FeatureDistance:
    """Weighted squared distance of activations from their targets, the first term of eq. 1.

    Args:
        network: Activations by layer of normalised pictures.
        normalise: Pictures in 0..1 to what the network takes.
        targets: Wanted activations ``(B, F)`` by layer.
        scale: What the squared distance of a layer is divided by: the square of its target, its spread, or nothing.
        spreads: Total variance of each layer over training faces; asked for by the scale ``spread``.
        weights: Weight of a layer; 1 where none is given.

    Raises:
        ConfigurationError: If a weight names no layer, or the spread of a layer is missing.

    References:
        Cate, Dalvi and Hussain, "DeepFace: Face Generation using Deep Learning", 2016, eq. 1; Mahendran and Vedaldi,
        "Understanding Deep Image Representations by Inverting Them", CVPR 2015.
    """

    def __init__(
        self,
        network: Cut,
        normalise: Callable[[Tensor], Tensor],
        targets: Mapping[str, Tensor],
        scale: LossScale = "target",
        spreads: Mapping[str, float] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._network = network
        self._normalise = normalise
        unknown = sorted(set(weights or ()) - set(targets))
        if unknown:
            raise ConfigurationError(
                f"layer_weights names {', '.join(unknown)}, but the inverted layers are {', '.join(targets)}."
            )
        with torch.inference_mode(False):  # what is made in inference mode takes part in no backward pass
            self._targets = {layer: target.detach().clone().flatten(1) for layer, target in targets.items()}
            self._factors = {
                layer: (weights or {}).get(layer, 1.0) / self._divisor(layer, scale, spreads) for layer in targets
            }

    def _divisor(self, layer: str, scale: LossScale, spreads: Mapping[str, float] | None) -> Tensor:
        target = self._targets[layer]
        if scale == "none":
            return torch.ones_like(target[:, 0])
        if scale == "target":
            return target.square().sum(dim=1).clamp_min(1e-12)
        if spreads is None or layer not in spreads:
            raise ConfigurationError(
                f"loss_scale is spread, but the spread of {layer} over training faces is not known: set it to target."
            )
        return torch.full_like(target[:, 0], max(spreads[layer], 1e-12))

    def __call__(self, pictures: Tensor) -> Tensor:
        """Distances ``(B,)`` of pictures ``(B, 3, S, S)`` in 0..1."""
        return self.of_activations(self._network(self._normalise(pictures)))

    def of_activations(self, found: Mapping[str, Tensor]) -> Tensor:
        """Distances ``(B,)`` of activations by layer."""
        distances = [
            self._factors[layer] * (found[layer].flatten(1) - target).square().sum(dim=1)
            for layer, target in self._targets.items()
        ]
        return torch.stack(distances).sum(dim=0)

    @torch.no_grad()
    def errors(self, pictures: Tensor) -> dict[str, Tensor]:
        """Squared distance of each layer over the square of its target, ``(B,)`` by layer."""
        found = self._network(self._normalise(pictures))
        return {
            layer: (found[layer].flatten(1) - target).square().sum(dim=1) / target.square().sum(dim=1).clamp_min(1e-12)
            for layer, target in self._targets.items()
        }


def optimise(
    objective: Objective, space: ImageSpace, settings: InversionSettings, start: Tensor, seeds: Tensor
) -> Inversion:
    """Move pictures until the objective is low.

    A face's result follows from its own start, seed and part of the objective; other faces of the batch change it by
    rounding alone, which many steps of Adam, that move a coordinate without a slope as far as any other, can enlarge.

    Args:
        objective: Losses ``(B,)`` of pictures ``(B, 3, S, S)`` in 0..1; row i may depend on picture i alone.
        space: Where pictures are looked for.
        settings: How.
        start: Pictures to begin from, float ``(B, 3, S, S)`` in 0..1; `starting_pictures` makes them.
        seeds: Seed of each face, int64 ``(B,)``.
    """
    with torch.inference_mode(False), torch.enable_grad():
        if any(buffer.is_inference() for buffer in space.buffers()):
            space = copy.deepcopy(space)
        return _Search(objective, space, settings, start.detach().clone(), seeds).run()


def starting_pictures(mean: Tensor, settings: InversionSettings, seeds: Tensor) -> Tensor:
    """Where a search begins: the mean face with each face's own noise.

    Args:
        mean: Mean training face, float ``(3, S, S)`` in 0..1.
        settings: ``start`` is ``mean``, or ``noise`` around the mean colour, which knows nothing of a face.
        seeds: Seed of each face, int64 ``(B,)``.

    Returns:
        float32 ``(B, 3, S, S)`` in 0..1, on the device of ``mean``.
    """
    shape = mean.shape
    draws = torch.stack([torch.randn(shape, generator=face_generator(seed)) for seed in seeds.tolist()]).to(mean.device)
    base = mean if settings.start == "mean" else mean.mean(dim=(1, 2), keepdim=True).expand(shape)
    return (base + settings.noise * draws).clamp(0, 1)


class _Search:
    """One run of `optimise`."""

    def __init__(
        self, objective: Objective, space: ImageSpace, settings: InversionSettings, start: Tensor, seeds: Tensor
    ) -> None:
        self._objective = objective
        self._space = space
        self._settings = settings
        coordinates = space.coordinates(start)
        if settings.variety and settings.space == "faces":
            coordinates = coordinates + settings.variety * _draws(coordinates, seeds)
        self._coordinates = coordinates.requires_grad_()
        self._views = RobustViews(settings, seeds, settings.steps, start.device)
        self._active = torch.ones(len(start), dtype=torch.bool, device=start.device)
        self._steps = torch.zeros(len(start), dtype=torch.long, device=start.device)
        self._history: list[Tensor] = []
        self._strip: list[Tensor] = []

    def run(self) -> Inversion:
        settings = self._settings
        optimiser = self._optimiser()
        marks = _marks(settings)
        began = spoke = time.monotonic()
        for step in range(settings.steps):
            if step in marks:
                self._strip.append(self._shown(settings.share(step)))
            self._step(optimiser, step)
            if settings.tolerance > 0 and not self._anyone_goes_on(step):
                break
            if time.monotonic() - spoke > _TALK_SECONDS:
                spoke = time.monotonic()
                log.info("inversion: step %d of %d after %.0f s", step + 1, settings.steps, spoke - began)
        # Where all rest early, the strip has as many pictures all the same: a face must not show who was beside it.
        self._strip += [self._shown(settings.share(mark)) for mark in sorted(marks) if mark > step]
        if settings.finish_steps:
            self._finish()
        pictures = self._pictures().detach()
        if settings.strip:
            self._strip.append(self._shown())
        strip = torch.stack(self._strip, dim=1) if self._strip else pictures.new_zeros(len(pictures), 0, 3, 1, 1).byte()
        return Inversion(pictures, torch.stack(self._history).cpu(), self._steps, strip)

    def _optimiser(self) -> torch.optim.Optimizer:
        if self._settings.optimiser == "adam":
            return torch.optim.Adam([self._coordinates], lr=self._settings.learning_rate)
        return torch.optim.SGD([self._coordinates], lr=self._settings.learning_rate, momentum=self._settings.momentum)

    def _step(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        settings = self._settings
        losses = self._losses(self._coordinates, settings.share(step), step if settings.moves(step) else None)
        (gradient,) = torch.autograd.grad(losses.sum(), self._coordinates)
        if settings.optimiser == "sgd" and settings.unit_gradient:
            size = gradient.flatten(1).square().mean(dim=1).sqrt().clamp_min(1e-20)
            gradient = gradient / _broadcast(size, gradient)
        before = self._coordinates.detach().clone()
        self._coordinates.grad = gradient
        optimiser.param_groups[0]["lr"] = settings.rate(step)
        optimiser.step()
        with torch.no_grad():
            after = self._space.settled(slight_blur(self._coordinates) if settings.blur else self._coordinates)
            self._coordinates.copy_(torch.where(_broadcast(self._active, after), after, before))
        last = self._history[-1] if self._history else losses.detach()
        self._history.append(torch.where(self._active, losses.detach(), last))
        self._steps += self._active

    def _losses(self, coordinates: Tensor, share: float, step: int | None) -> Tensor:
        """Objective and charges ``(B,)``; with a step, of the pictures as they are seen then."""
        settings = self._settings
        pictures = self._space.picture(coordinates, share)
        losses = self._objective(pictures if step is None else self._views(pictures, step))
        if settings.total_variation:
            losses = losses + settings.total_variation * total_variation(pictures, settings.variation_power)
        if settings.alpha_norm:
            losses = losses + settings.alpha_norm * alpha_norm(pictures, settings.alpha)
        if settings.asymmetry:
            losses = losses + settings.asymmetry * asymmetry(pictures)
        if settings.unlikeliness:
            losses = losses + settings.unlikeliness * unlikeliness(coordinates)
        return losses

    def _anyone_goes_on(self, step: int) -> bool:
        """Let faces rest whose loss has stood still; False once all do."""
        span = self._settings.patience
        done = step + 1
        if done >= 2 * span and done % span == 0 and not self._settings.moves(step):
            # Means over many steps, since the random views make single ones jump.
            now = torch.stack(self._history[-span:]).mean(dim=0)
            before = torch.stack(self._history[-2 * span : -span]).mean(dim=0)
            self._active &= before - now > self._settings.tolerance * self._history[0].abs()
        return bool(self._active.any())

    def _finish(self) -> None:
        """Steps of L-BFGS on the picture held still."""
        shape = self._coordinates.shape

        def evaluate(points: Tensor) -> tuple[Tensor, Tensor]:
            coordinates = points.detach().view(shape).requires_grad_()
            # Settled as the result will be, so that no step is praised for what is cut off afterwards.
            losses = self._losses(self._space.settled(coordinates), 1.0, None)
            (gradient,) = torch.autograd.grad(losses.sum(), coordinates)
            return losses.detach(), gradient.flatten(1)

        reached, losses = minimise(evaluate, self._coordinates.detach().flatten(1), self._settings.finish_steps)
        with torch.no_grad():
            self._coordinates.copy_(self._space.settled(reached.view(shape)))
        self._history.extend(losses)
        self._steps += self._settings.finish_steps

    def _pictures(self, share: float = 1.0) -> Tensor:
        with torch.no_grad():
            return self._space.picture(self._coordinates, share)

    def _shown(self, share: float = 1.0) -> Tensor:
        return to_uint8(self._pictures(share)).cpu()


def to_uint8(pictures: Tensor) -> Tensor:
    """Pictures in 0..1 as uint8, rounded.

    Example:
        >>> to_uint8(torch.tensor([0.0, 0.5, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return (pictures * 255).round().clamp(0, 255).to(torch.uint8)


def _marks(settings: InversionSettings) -> set[int]:
    """Steps before which an intermediate picture is kept; the last one is added at the end."""
    count = settings.strip - 1
    return {round(number * settings.steps / count) for number in range(count)} if count > 0 else set()


def _draws(like: Tensor, seeds: Tensor) -> Tensor:
    """A normal draw for every coordinate, of each face by its own seed."""
    # Another stream than that of noise and views, which the same seed gives too.
    generators = [face_generator(seed + _VARIETY_STREAM) for seed in seeds.tolist()]
    return torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in generators]).to(like)


def _broadcast(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
