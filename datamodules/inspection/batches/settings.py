"""What happens to training images at random."""

from __future__ import annotations

from datamodules.common.settings import argument, settings


@settings
class AugmentationSettings:
    """What happens to training images at random."""

    flip_horizontal: float = argument(default=0.5, help="Probability of a flip left to right.", low=0, high=1)
    flip_vertical: float = argument(default=0.5, help="Probability of a flip top to bottom.", low=0, high=1)
    rotate90: bool = argument(
        default=False,
        help="Turn by a random number of quarter turns; batches that are not square are padded to a square.",
    )
    brightness: float = argument(
        default=0.0, help="Largest shift of the brightness, as a share of full scale.", low=0, high=1
    )
    contrast: float = argument(default=0.0, help="Largest change of the contrast, as a share.", low=0, high=1)
    degrees: float = argument(default=0.0, help="Largest rotation to either side.", low=0, high=180)
    translate: float = argument(default=0.0, help="Largest shift, as a share of the side.", low=0, high=1)
    scale: float = argument(default=0.0, help="Largest enlargement or reduction, as a share.", low=0, high=0.9)

    @property
    def is_warping(self) -> bool:
        """Whether pixels fall between pixels."""
        return max(self.degrees, self.translate, self.scale) > 0

    @property
    def changes_light(self) -> bool:
        """Whether the values of pixels change."""
        return max(self.brightness, self.contrast) > 0
