"""What the generated faces of the demo hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from datamodules.common.settings import argument, settings

DemoSplit = Literal["train", "val", "test"]

SMALLEST_SIDE, LARGEST_SIDE = 32, 256  # pixels that the renderer draws well


@settings
class FaceDemoSettings:
    """What the generated demo holds; the same settings give the same faces."""

    seed: int = argument(default=0, help="Seed of all that is drawn.", low=0)
    train: int = argument(default=20_000, help="Training faces.", low=1)
    val: int = argument(default=1_000, help="Validation faces.", low=1)
    test: int = argument(default=2_000, help="Test faces.", low=1)
    photos_per_person: int = argument(
        default=4,
        help=(
            "Pictures of one person. They share skin, hair, eyes, nose, brows and the shape of the face, and differ "
            "in all that changes from day to day. No person stands in two splits."
        ),
        low=1,
    )
    correlation: float = argument(
        default=0.5,
        help=(
            "How strongly attributes go together that people expect together (grey hair and lines, lipstick and "
            "earrings), from 0 (independent) to 1. How frequent each attribute is stays the same."
        ),
        low=0,
        high=1,
    )
    lighting: float = argument(
        default=1.0,
        help="Strength of ordinary differences of light and colour between pictures, from 0 to 1.",
        low=0,
        high=1,
    )
    pose: float = argument(default=1.0, help="Strength of shift, turn, tilt and distance, from 0 to 1.", low=0, high=1)
    background: float = argument(
        default=1.0, help="Strength of what is behind the face, from 0 (plain grey) to 1.", low=0, high=1
    )
    noise: float = argument(
        default=3.0, help="Standard deviation of the camera's noise on the scale 0..255.", low=0, high=64
    )
    shares: dict[str, float | dict[str, float]] | None = argument(
        default=None,
        help=(
            "How often parameters of the drawing take their values, in place of their own shares: `{eyewear: "
            "{eyeglasses: 0.7, sunglasses: 0}}` puts glasses on 0.7 of the faces; what is not named keeps its "
            "proportions. A parameter that is only true or false has one number: `{makeup: 0.5}`."
        ),
    )
    fresh: bool = argument(
        default=True, help="Every epoch of a training shows new faces of new people; validation and test stay."
    )

    def count(self, split: DemoSplit) -> int:
        """Faces of a split."""
        counts: dict[DemoSplit, int] = {"train": self.train, "val": self.val, "test": self.test}
        return counts[split]

    def content(self) -> dict[str, object]:
        """All settings that say something, as plain values: they decide what every face shows."""
        return {name: value for name, value in asdict(self).items() if value is not None}
