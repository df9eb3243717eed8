"""Augmentation of a training batch: pictures, masks, boxes, answers and stored maps move together."""

from __future__ import annotations

from dataclasses import dataclass

from datamodules.common.errors import ConfigurationError


@dataclass(frozen=True)
class AugmentationSettings:
    """What happens to training images at random.

    Args:
        flip_horizontal: Probability of a flip left to right.
        flip_vertical: Probability of a flip top to bottom.
        rotate90: Turn by a random number of quarter turns; batches that are not square are padded to a square.
        brightness: Largest change of the brightness, as a share of full scale.
        contrast: Largest change of the contrast, as a share.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    rotate90: bool = False
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip_horizontal", "flip_vertical", "brightness", "contrast"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must lie in 0..1")
