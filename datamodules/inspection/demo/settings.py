"""What the generated inspection demo holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from datamodules.common.errors import ConfigurationError

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
_SMALLEST_SIZE = 64
_HIGHEST_CONTRAST = 2
_PLACE_SETTINGS = ("cache_dir",)  # where, not what


@dataclass(frozen=True)
class InspectionDemoSettings:
    """What the generated demo holds; the same settings give the same images.

    Args:
        original_train: Labelled training images of the original set-up.
        new_train: Images of the new set-up that the deployed model mines; their masks serve simulated operators and
            the control with full labels.
        original_val: Validation images of the original set-up.
        new_val: Validation images of the new set-up.
        original_test: Test images of the original set-up.
        new_test: Test images of the new set-up.
        size: Height and width in pixels, from 64.
        seed: Seed of all that is drawn.
        healthy_share: Share of the parts without any defect.
        second_defect: Probability that a defective part has one more defect, and then one more.
        lookalike_share: Share of the new set-up's training images with harmless structures that look like defects.
        lookalike_share_eval: The same for its validation and test images, which look for false positives.
        contrast: Strength of the new set-up's defects, relative to the original's.
        lookalike_contrast: Strength of the harmless structures.
        flagged_share: Share of the healthy parts that were flagged healthy when the image was taken.
        cache_dir: Folder that keeps the made images; by default the environment variable ``APPRAISE_CACHE``, else
            ``$XDG_CACHE_HOME/appraise``, else ``~/.cache/appraise``.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    original_train: int = 800
    new_train: int = 1600
    original_val: int = 150
    new_val: int = 200
    original_test: int = 300
    new_test: int = 400
    size: int = 128
    seed: int = 0
    healthy_share: float = 0.35
    second_defect: float = 0.35
    lookalike_share: float = 0.04
    lookalike_share_eval: float = 1.0
    contrast: float = 0.74
    lookalike_contrast: float = 0.5
    flagged_share: float = 1.0
    cache_dir: str | None = field(default=None)

    def __post_init__(self) -> None:
        for name, value in self.counts().items():
            if value < 1:
                raise ConfigurationError(f"The demo's {name} is {value}; it must be at least 1.")
        if self.size < _SMALLEST_SIZE:
            raise ConfigurationError(f"The demo's size is {self.size}; it must be at least {_SMALLEST_SIZE}.")
        shares = ("healthy_share", "second_defect", "lookalike_share", "lookalike_share_eval", "flagged_share")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"The demo's {name} is {getattr(self, name)}; it must be within 0..1.")
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
        return {name: value for name, value in asdict(self).items() if name not in _PLACE_SETTINGS}
