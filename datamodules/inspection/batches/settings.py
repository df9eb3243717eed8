"""What happens to training images at random."""

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
        brightness: Largest shift of the brightness, as a share of full scale.
        contrast: Largest change of the contrast, as a share.
        degrees: Largest rotation to either side.
        translate: Largest shift, as a share of the side.
        scale: Largest enlargement or reduction, as a share.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    rotate90: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0

    def __post_init__(self) -> None:
        limits = {"flip_horizontal": 1.0, "flip_vertical": 1.0, "brightness": 1.0, "contrast": 1.0}
        limits |= {"degrees": 180.0, "translate": 1.0, "scale": 0.9}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must lie in 0..{limit:g}")

    @property
    def is_warping(self) -> bool:
        """Whether pixels fall between pixels."""
        return max(self.degrees, self.translate, self.scale) > 0

    @property
    def changes_light(self) -> bool:
        """Whether the values of pixels change."""
        return max(self.brightness, self.contrast) > 0
