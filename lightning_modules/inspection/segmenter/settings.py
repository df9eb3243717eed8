"""Arguments of the grid-cell segmenter."""

from __future__ import annotations

from typing import Literal

from datamodules.common.settings import argument, settings
from lightning_modules.inspection.areas import MaskUnit
from lightning_modules.inspection.settings import MentoringSettings


@settings
class SegmenterSettings(MentoringSettings):
    """Arguments of `MentoringSegmenter`."""

    stride: Literal[1, 2, 4, 8, 16, 32] = argument(
        default=8, help="Side of a cell in pixels; 1 makes pixels the areas."
    )
    coverage: float = argument(
        default=0.06,
        help="Share of a cell that a defect must cover to make it defective; less, but some, is ignored.",
        low=1e-06,
        high=1,
    )
    mask_unit: MaskUnit = argument(
        default="area", help="An answer makes the whole ``area`` known (paper), or only its ``area_class``."
    )
    positive_weight: float = argument(default=1.0, help="Factor of the loss of defective areas.", low=1e-06)
