"""Arguments of the anchor detector."""

from __future__ import annotations

from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.inspection.areas import MaskUnit
from lightning_modules.inspection.detector.areas import Suppressed
from lightning_modules.inspection.settings import MentoringSettings


@settings
class DetectorSettings(MentoringSettings):
    """Arguments of `MentoringDetector`."""

    stride: Literal[1, 2, 4, 8, 16, 32] = argument(default=8, help="Side of a cell in pixels.")
    num_anchors: int = argument(default=3, help="Anchors a cell; read only where ``anchors`` is None.")
    anchors: list[list[float]] | None = argument(
        default=None,
        help=(
            "Widths and heights in pixels of the network's input; None fits them to the training boxes (k-means) "
            "when a training begins, and the checkpoint keeps them."
        ),
    )
    ignore_iou: float = argument(
        default=0.4, help="An anchor that answers for no box, yet overlaps one that much, is left out of the loss."
    )
    class_weight: float = argument(
        default=0.05, help="Weight of the class vectors' loss; that of objectness is 1.", low=0
    )
    box_weight: float = argument(default=0.05, help="Weight of the boxes' loss.", low=0)
    positive_weight: float = argument(
        default=4.0, help="Factor of the objectness loss of anchors that hold a defect.", low=1e-06
    )
    mask_unit: MaskUnit = argument(
        default="area",
        help=(
            "On a confirmed anchor the whole class vector is known (``area``), or only what the answer speaks of "
            "(``area_class``)."
        ),
    )
    reject_class: bool = argument(
        default=False, help="On a rejected anchor the shown class of its cell learns to be absent, too."
    )
    suppressed: Suppressed = argument(
        default="rejected",
        help=(
            "Which answers also cover the anchors that the detection suppressed: ``all``, only the ``rejected``, or "
            "``none``."
        ),
    )
    nms_iou: float = argument(
        default=0.5, help="Overlap above which the better of two boxes of a class suppresses the other.", free=True
    )
    max_detections: int = argument(default=300, help="Boxes an image, the best.", free=True)
    weights: str | None = argument(
        default=None,
        help="Checkpoint of a detector to begin from (transfer learning), whose anchors are taken over.",
        saved=False,
    )
    baseline_weights: str | None = argument(
        default=None,
        help=(
            "Checkpoint of the deployed detector, the teacher of distillation; anchors that are to be fitted are "
            "taken from it."
        ),
        saved=False,
    )

    def check(self) -> None:
        """Refuse values that cannot work, alone or with another."""
        anchors = self.anchors
        if anchors is not None and not (anchors and all(len(sides) == 2 and min(sides) > 0 for sides in anchors)):
            raise ConfigurationError(
                f"anchors is {anchors}, but must list widths and heights above 0, such as [[16, 16], [32, 20]]."
            )
        if anchors is None and self.num_anchors < 1:
            raise ConfigurationError(f"num_anchors is {self.num_anchors}, but must be at least 1.")
        for name in ("ignore_iou", "nms_iou"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must lie in 0..1 and above 0.")
