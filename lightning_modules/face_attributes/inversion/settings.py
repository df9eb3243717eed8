"""How a picture is looked for: steps, optimiser, space, random views and what a picture is charged for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.inversion.parameterisation import SpaceName

OptimiserName = Literal["adam", "sgd"]
StartName = Literal["mean", "noise"]
ViewKind = Literal["none", "roll", "warp"]
LossScale = Literal["target", "spread", "none"]


@dataclass(frozen=True)
class InversionSettings:
    """Settings of the search for a picture whose activations match a target.

    Attributes:
        steps: Steps of the optimiser.
        optimiser: ``adam``, or ``sgd`` with momentum as in the paper.
        learning_rate: Largest step; in standard deviations (``faces``), of Fourier coordinates, or of grey values of
            0..1 (``pixels``).
        momentum: Of ``sgd``.
        unit_gradient: Of ``sgd``: divide each face's gradient by its root mean square, so that one learning rate fits
            every network; the paper's own 1e-6 fits one layer of one network.
        decay_from: Share of the steps after which the learning rate falls to 0 along half a cosine; 1 never.
        finish_steps: Steps of L-BFGS after the others, without random views. They magnify rounding: a face may then
            differ by tens of grey values with the size of its batch, where it is within a few without them.
        space: ``faces`` (mixtures of training faces), ``fourier`` or ``pixels``.
        components: Directions of ``faces``.
        spectrum_power: Power of the frequency that ``fourier`` divides by.
        start: ``mean``, the mean training face, or ``noise``.
        noise: Standard deviation of what is added to the start, in grey values of 0..1.
        variety: Standard deviations by which the start of each face is moved along the directions of ``faces``, by its
            own seed: with it, faces of one request differ in what the request leaves open. Other spaces have `noise`.
        stages: Shares of the detail that are searched one after the other, coarse to fine; [1] is all at once.
        views: Random moves of each step: ``none``; ``roll`` shifts by whole pixels, what leaves on one side comes in
            on the other; ``warp`` shifts, turns and scales in one resampling, borders repeated.
        jitter: Largest shift in pixels.
        rotation: Largest turn of ``warp`` in degrees.
        zoom: Largest change of size of ``warp``, as a share.
        views_until: Share of the steps after which the picture is held still.
        loss_scale: What the squared distance of a layer is divided by: the square of its ``target``, the ``spread`` of
            the layer over training faces, or nothing.
        layer_weights: Weight of a layer's distance by its name; 1 where none is given.
        attribute_weight: Weight of the heads' own loss on the attributes asked for.
        total_variation: Weight of the steps between neighbouring pixels.
        variation_power: Their power.
        alpha_norm: Weight of grey values far from the middle.
        alpha: Their power; 2 is the paper's plain L2.
        asymmetry: Weight of the difference to the mirror image.
        unlikeliness: Weight of the mean square of the coordinates of ``faces``.
        blur: Blur a little after every step, as the paper does; for ``pixels``.
        tolerance: A face rests when ``patience`` steps have lowered its loss by less than this share of its first loss;
            0 never.
        patience: Steps that are compared with as many before.
        strip: Intermediate pictures kept, the first and the last among them; 0 keeps none.

    Raises:
        ConfigurationError: If a value cannot work.
    """

    steps: int = 120
    optimiser: OptimiserName = "adam"
    learning_rate: float = 0.08
    momentum: float = 0.9
    unit_gradient: bool = True
    decay_from: float = 0.6
    finish_steps: int = 0
    space: SpaceName = "faces"
    components: int = 256
    spectrum_power: float = 0.6
    start: StartName = "mean"
    noise: float = 0.0
    variety: float = 0.0
    stages: list[float] = field(default_factory=lambda: [1.0])
    views: ViewKind = "warp"
    jitter: float = 2.0
    rotation: float = 5.0
    zoom: float = 0.05
    views_until: float = 0.95
    loss_scale: LossScale = "target"
    layer_weights: dict[str, float] = field(default_factory=dict)
    attribute_weight: float = 0.0
    total_variation: float = 0.0
    variation_power: float = 2.0
    alpha_norm: float = 0.0
    alpha: float = 6.0
    asymmetry: float = 0.0
    unlikeliness: float = 0.0
    blur: bool = False
    tolerance: float = 0.0
    patience: int = 20
    strip: int = 8

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                bounds = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
                raise ConfigurationError(f"inversion.{name} is {value}, but must be {bounds}: correct it.")
        if not self.stages or any(not 0 < share <= 1 for share in self.stages) or self.stages[-1] != 1:
            raise ConfigurationError(
                f"inversion.stages is {self.stages}, but must be shares above 0 that end with 1, such as [0.25, 1]."
            )
        if self.blur and self.space != "pixels":
            raise ConfigurationError(
                f"inversion.blur acts on pixels, but the space is {self.space}: set space to pixels, or use "
                "total_variation."
            )
        if self.unlikeliness > 0 and self.space != "faces":
            raise ConfigurationError(
                f"inversion.unlikeliness counts standard deviations of faces, but the space is {self.space}: set space "
                "to faces, or unlikeliness to 0."
            )

    def rate(self, step: int) -> float:
        """Learning rate of a step.

        Example:
            >>> settings = InversionSettings(steps=100, learning_rate=1.0, decay_from=0.5)
            >>> settings.rate(10), round(settings.rate(75), 3)
            (1.0, 0.5)
        """
        begin = self.decay_from * self.steps
        if step < begin or self.steps <= begin:
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - begin) / (self.steps - begin)))

    def share(self, step: int) -> float:
        """Share of the detail that a step works on; each stage has as many steps.

        Example:
            >>> [InversionSettings(steps=4, stages=[0.5, 1.0]).share(step) for step in range(4)]
            [0.5, 0.5, 1.0, 1.0]
        """
        return self.stages[min(len(self.stages) - 1, step * len(self.stages) // self.steps)]

    def moves(self, step: int) -> bool:
        """Whether the picture is moved at a step."""
        return self.views != "none" and step < self.views_until * self.steps


_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, math.inf),
    "learning_rate": (1e-12, math.inf),
    "momentum": (0, 0.999),
    "decay_from": (0, 1),
    "finish_steps": (0, math.inf),
    "components": (1, math.inf),
    "spectrum_power": (0, 3),
    "noise": (0, math.inf),
    "variety": (0, 3),
    "jitter": (0, 64),
    "rotation": (0, 180),
    "zoom": (0, 0.9),
    "views_until": (0, 1),
    "attribute_weight": (0, math.inf),
    "total_variation": (0, math.inf),
    "variation_power": (0.5, 4),
    "alpha_norm": (0, math.inf),
    "alpha": (1, 16),
    "asymmetry": (0, math.inf),
    "unlikeliness": (0, math.inf),
    "tolerance": (0, 1),
    "patience": (1, math.inf),
    "strip": (0, 64),
}

# As the authors have it: noise of standard deviation 10 of 255 (around the mean face, which their pictures have taken
# off), 200 steps of SGD, a roll by up to four pixels, a hair of blur after each step, and a little L2.
PAPER = InversionSettings(
    steps=200,
    optimiser="sgd",
    learning_rate=0.005,
    momentum=0.0,
    decay_from=1.0,
    space="pixels",
    start="mean",
    noise=10 / 255,
    views="roll",
    jitter=4,
    views_until=1.0,
    loss_scale="none",
    alpha_norm=1e-6,
    alpha=2.0,
    blur=True,
    strip=21,
)
