"""Methods of appraise, imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.common.lazy_names import PublicName, lazy_names

if TYPE_CHECKING:
    from lightning_modules.inspection.detector_module import MentoringDetector as MentoringDetector
    from lightning_modules.inspection.module import MentoringSegmenter as MentoringSegmenter
    from lightning_modules.video_quality.module import KSVQE as KSVQE

PUBLIC = {
    "KSVQE": PublicName(
        "lightning_modules.video_quality.module", "video quality by content, distortion and the region that matters"
    ),
    "MentoringDetector": PublicName(
        "lightning_modules.inspection.detector_module", "defects in anchor boxes, learnt from labels and answers"
    ),
    "MentoringSegmenter": PublicName(
        "lightning_modules.inspection.module", "defects in grid cells, learnt from labels and answers"
    ),
}

__all__ = ["KSVQE", "MentoringDetector", "MentoringSegmenter"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, PUBLIC)
