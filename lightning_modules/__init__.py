"""Methods of appraise, imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.common.lazy_names import PublicName, lazy_names

if TYPE_CHECKING:
    from lightning_modules.action.hub_classifier import PretrainedActionClassifier as PretrainedActionClassifier
    from lightning_modules.action.module import FrameAveragingActionRecognizer as FrameAveragingActionRecognizer
    from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier as FaceAttributeClassifier
    from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator as AttributeFaceGenerator
    from lightning_modules.face_benchmark.module import FaceXBenchEvaluator as FaceXBenchEvaluator
    from lightning_modules.face_diffusion.module import RewardTunedDiffusion as RewardTunedDiffusion
    from lightning_modules.inspection.detector.module import MentoringDetector as MentoringDetector
    from lightning_modules.inspection.segmenter.module import MentoringSegmenter as MentoringSegmenter
    from lightning_modules.video_quality.module import KSVQE as KSVQE

PUBLIC = {
    "FrameAveragingActionRecognizer": PublicName(
        "lightning_modules.action.module", "actions in single frames, averaged over time"
    ),
    "PretrainedActionClassifier": PublicName(
        "lightning_modules.action.hub_classifier", "any video or image classifier of transformers, on streams"
    ),
    "KSVQE": PublicName(
        "lightning_modules.video_quality.module", "video quality by content, distortion and the region that matters"
    ),
    "MentoringDetector": PublicName(
        "lightning_modules.inspection.detector.module", "defects in anchor boxes, learnt from labels and answers"
    ),
    "MentoringSegmenter": PublicName(
        "lightning_modules.inspection.segmenter.module", "defects in grid cells, learnt from labels and answers"
    ),
    "FaceAttributeClassifier": PublicName(
        "lightning_modules.face_attributes.classifier.module", "attributes of faces in heads of related ones"
    ),
    "AttributeFaceGenerator": PublicName(
        "lightning_modules.face_attributes.generator.module", "faces with the attributes that are asked for"
    ),
    "FaceXBenchEvaluator": PublicName(
        "lightning_modules.face_benchmark.module", "multimodal language models questioned about faces"
    ),
    "RewardTunedDiffusion": PublicName(
        "lightning_modules.face_diffusion.module", "faces by diffusion, tuned by a reward against copies and bias"
    ),
}

__all__ = [
    "KSVQE",
    "AttributeFaceGenerator",
    "FaceAttributeClassifier",
    "FaceXBenchEvaluator",
    "FrameAveragingActionRecognizer",
    "MentoringDetector",
    "MentoringSegmenter",
    "PretrainedActionClassifier",
    "RewardTunedDiffusion",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, PUBLIC)
