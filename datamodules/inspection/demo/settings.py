"""What the generated inspection demo holds."""

from __future__ import annotations

from datamodules.common.cache_folder import cache_help
from datamodules.common.errors import ConfigurationError
from datamodules.common.generated import content_of
from datamodules.common.settings import argument, settings

DEFECT_CLASSES = (
    "scratch",
    "crack",
    "pit",
    "porosity",
    "stain",
    "corrosion",
    "dent",
    "blister",
    "burr",
    "chip",
    "inclusion",
    "scuff",
    "spatter",
)
_HIGHEST_CONTRAST = 2


@settings
class InspectionDemoSettings:
    """What the generated demo holds; the same settings give the same images."""

    original_train: int = argument(default=800, help="Labelled training images of the original set-up.", low=1)
    new_train: int = argument(
        default=1600,
        help=(
            "Images of the new set-up that the deployed model mines; their masks serve simulated operators and the "
            "control with full labels."
        ),
        low=1,
    )
    original_val: int = argument(default=150, help="Validation images of the original set-up.", low=1)
    new_val: int = argument(default=200, help="Validation images of the new set-up.", low=1)
    original_test: int = argument(default=300, help="Test images of the original set-up.", low=1)
    new_test: int = argument(default=400, help="Test images of the new set-up.", low=1)
    size: int = argument(default=128, help="Height and width in pixels, from 64.", low=64)
    seed: int = argument(default=0, help="Seed of all that is drawn.")
    healthy_share: float = argument(default=0.35, help="Share of the parts without any defect.", low=0, high=1)
    second_defect: float = argument(
        default=0.35, help="Probability that a defective part has one more defect, and then one more.", low=0, high=1
    )
    lookalike_share: float = argument(
        default=0.04,
        help="Share of the new set-up's training images with harmless structures that look like defects.",
        low=0,
        high=1,
    )
    lookalike_share_eval: float = argument(
        default=1.0, help="The same for its validation and test images, which look for false positives.", low=0, high=1
    )
    contrast: float = argument(default=0.74, help="Strength of the new set-up's defects, relative to the original's.")
    lookalike_contrast: float = argument(default=0.5, help="Strength of the harmless structures.")
    flagged_share: float = argument(
        default=1.0,
        help="Share of the healthy parts that were flagged healthy when the image was taken.",
        low=0,
        high=1,
    )
    cache_dir: str | None = argument(default=None, help=cache_help("the made images"))

    def check(self) -> None:
        """Refuse what cannot work together."""
        for name in ("contrast", "lookalike_contrast"):
            if not 0 < getattr(self, name) <= _HIGHEST_CONTRAST:
                raise ConfigurationError(
                    f"The demo's {name} is {getattr(self, name)}; it must be above 0 and at most {_HIGHEST_CONTRAST}."
                )

    def counts(self) -> dict[str, int]:
        """Number of images by ``<domain>_<split>``."""
        names = [f"{domain}_{split}" for split in ("train", "val", "test") for domain in ("original", "new")]
        return {name: getattr(self, name) for name in names}

    def content(self) -> dict[str, int | float]:
        """The settings that decide what the images show; where they are kept is left out."""
        return content_of(self)
