"""What the generated faces of the demo hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from datamodules.common.errors import ConfigurationError

DemoSplit = Literal["train", "val", "test"]

SMALLEST_SIDE, LARGEST_SIDE = 32, 256  # pixels that the renderer draws well


@dataclass(frozen=True)
class FaceDemoSettings:
    """What the generated demo holds; the same settings give the same faces.

    Args:
        seed: Seed of all that is drawn.
        train: Training faces.
        val: Validation faces.
        test: Test faces.
        photos_per_person: Pictures of one person. They share skin, hair, eyes, nose, brows and the shape of the face,
            and differ in all that changes from day to day. No person stands in two splits.
        correlation: How strongly attributes go together that people expect together (grey hair and lines, lipstick and
            earrings), from 0 (independent) to 1. How frequent each attribute is stays the same.
        lighting: Strength of ordinary differences of light and colour between pictures, from 0 to 1.
        pose: Strength of shift, turn, tilt and distance, from 0 to 1.
        background: Strength of what is behind the face, from 0 (plain grey) to 1.
        noise: Standard deviation of the camera's noise on the scale 0..255.
        fresh: Every epoch of a training shows new faces of new people; validation and test stay.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    seed: int = 0
    train: int = 20_000
    val: int = 1_000
    test: int = 2_000
    photos_per_person: int = 4
    correlation: float = 0.5
    lighting: float = 1.0
    pose: float = 1.0
    background: float = 1.0
    noise: float = 3.0
    fresh: bool = True

    def __post_init__(self) -> None:
        lowest = {"seed": 0, "train": 1, "val": 1, "test": 1, "photos_per_person": 1, "noise": 0}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ConfigurationError(f"The demo's {name} is {getattr(self, name)}; it must be at least {least}.")
        for name in ("correlation", "lighting", "pose", "background"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"The demo's {name} is {getattr(self, name)}; it must be within 0..1.")
        if self.noise > 64:
            raise ConfigurationError(f"The demo's noise is {self.noise}; it must be within 0..64.")

    def count(self, split: DemoSplit) -> int:
        """Faces of a split."""
        counts: dict[DemoSplit, int] = {"train": self.train, "val": self.val, "test": self.test}
        return counts[split]

    def content(self) -> dict[str, int | float | bool]:
        """All settings as plain values: they decide what every face shows."""
        return asdict(self)
