"""Callbacks of appraise, imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.common.lazy_names import PublicName, lazy_names

if TYPE_CHECKING:
    from callbacks.action.classification_report import ClassificationReport as ClassificationReport
    from callbacks.action.segment_writer import SegmentWriter as SegmentWriter
    from callbacks.face_attributes.distribution import AttributeDistribution as AttributeDistribution
    from callbacks.face_attributes.feature_embedding import FeatureEmbedding as FeatureEmbedding
    from callbacks.face_attributes.group_errors import GroupErrors as GroupErrors
    from callbacks.face_attributes.label_writer import AttributeWriter as AttributeWriter
    from callbacks.face_attributes.layer_reconstructions import LayerReconstructions as LayerReconstructions
    from callbacks.face_attributes.model_card import ModelCard as ModelCard
    from callbacks.face_attributes.normality import NormalityFigure as NormalityFigure
    from callbacks.face_attributes.picture_writer import FaceWriter as FaceWriter
    from callbacks.face_attributes.report import AttributeReport as AttributeReport
    from callbacks.face_benchmark.answer_writer import AnswerWriter as AnswerWriter
    from callbacks.face_benchmark.model_folder import ModelFolder as ModelFolder
    from callbacks.face_diffusion.diffusers_folder import DiffusersFolder as DiffusersFolder
    from callbacks.face_diffusion.picture_lists import PictureLists as PictureLists
    from callbacks.face_diffusion.reward_rounds import RewardRounds as RewardRounds
    from callbacks.face_diffusion.sample_writer import SampleWriter as SampleWriter
    from callbacks.inspection.defect_features import DefectFeatures as DefectFeatures
    from callbacks.inspection.detection_sheet import DetectionSheet as DetectionSheet
    from callbacks.inspection.false_positive_sheet import FalsePositiveSheet as FalsePositiveSheet
    from callbacks.inspection.feedback_store_writer import FeedbackStoreWriter as FeedbackStoreWriter
    from callbacks.inspection.new_false_positives import NewFalsePositives as NewFalsePositives
    from callbacks.training.compile_network import CompileNetwork as CompileNetwork
    from callbacks.training.curves import TrainingCurves as TrainingCurves
    from callbacks.training.feature_cache import FeatureCache as FeatureCache
    from callbacks.training.parameter_ema import ParameterEMA as ParameterEMA
    from callbacks.training.plain_progress import PlainProgress as PlainProgress
    from callbacks.training.remote_monitor import RemoteMonitor as RemoteMonitor
    from callbacks.training.restore_best_weights import RestoreBestWeights as RestoreBestWeights
    from callbacks.training.run_comparison import RunComparison as RunComparison
    from callbacks.training.saving.best_and_last import BestAndLast as BestAndLast
    from callbacks.video_quality.feature_baseline import FeatureBaseline as FeatureBaseline
    from callbacks.video_quality.rank_pairs import RankPairs as RankPairs
    from callbacks.video_quality.region_overlap import RegionOverlap as RegionOverlap
    from callbacks.video_quality.region_overlay import RegionOverlay as RegionOverlay
    from callbacks.video_quality.score_scatter import ScoreScatter as ScoreScatter
    from callbacks.video_quality.score_writer import ScoreWriter as ScoreWriter

# name, module below this package, what it is
_TABLE = (
    ("BestAndLast", "training.saving.best_and_last", "the best checkpoint, and the newest one to resume from"),
    ("CompileNetwork", "training.compile_network", "the network compiled by torch.compile"),
    ("FeatureCache", "training.feature_cache", "features of a frozen backbone, computed once"),
    ("RestoreBestWeights", "training.restore_best_weights", "the best checkpoint's weights when training ends"),
    ("RemoteMonitor", "training.remote_monitor", "each epoch's numbers as JSON to an address"),
    ("TrainingCurves", "training.curves", "loss and accuracy of every epoch as a figure"),
    (
        "ClassificationReport",
        "action.classification_report",
        "precision, recall and F1 a class, and the confusion matrix",
    ),
    ("SegmentWriter", "action.segment_writer", "segments with times, annotated videos and figures of streams"),
    (
        "DefectFeatures",
        "inspection.defect_features",
        "features at defective areas of both domains, as a picture and a number",
    ),
    ("DetectionSheet", "inspection.detection_sheet", "labelled and detected defects on the first images of a test"),
    ("FalsePositiveSheet", "inspection.false_positive_sheet", "pictures of false positives that went away"),
    ("FeatureBaseline", "video_quality.feature_baseline", "test SRCC of the best single hand-made feature"),
    ("FeedbackStoreWriter", "inspection.feedback_store_writer", "detections into the feedback store, maps beside it"),
    (
        "NewFalsePositives",
        "inspection.new_false_positives",
        "false positives an image, and those that the deployed model did not raise",
    ),
    ("ParameterEMA", "training.parameter_ema", "moving average of the parameters that train"),
    ("PlainProgress", "training.plain_progress", "progress as plain lines, for files and pipes"),
    ("RankPairs", "video_quality.rank_pairs", "rank-pair accuracy and the KVQ challenge score"),
    ("RegionOverlap", "video_quality.region_overlap", "overlap of the selected windows with the labelled region"),
    ("RegionOverlay", "video_quality.region_overlay", "pictures or videos of the selected regions"),
    ("ScoreScatter", "video_quality.score_scatter", "scatter plot of predicted against true score"),
    ("ScoreWriter", "video_quality.score_writer", "a csv and a JSON line per scored video, resumable"),
    ("AttributeReport", "face_attributes.report", "every attribute and head of a test beside the more frequent answer"),
    ("AttributeDistribution", "face_attributes.distribution", "how many faces show each attribute"),
    ("FeatureEmbedding", "face_attributes.feature_embedding", "features of faces on a plane, coloured by attribute"),
    ("GroupErrors", "face_attributes.group_errors", "errors of every group of faces"),
    ("ModelCard", "face_attributes.model_card", "intended use, limits and measures of a face classifier"),
    ("FaceWriter", "face_attributes.picture_writer", "made faces as pictures, facts, strips and sheets"),
    ("AnswerWriter", "face_benchmark.answer_writer", "answers to questions as they come, and the tables of all"),
    ("ModelFolder", "face_benchmark.model_folder", "a taught language model as transformers and peft save it"),
    ("DiffusersFolder", "face_diffusion.diffusers_folder", "a diffusion model as diffusers saves it"),
    ("PictureLists", "face_diffusion.picture_lists", "which pictures a diffusion model learns from, as lists"),
    ("RewardRounds", "face_diffusion.reward_rounds", "samples of a diffusion model with their rewards, round by round"),
    ("SampleWriter", "face_diffusion.sample_writer", "samples of a diffusion model as pictures, a list and a sheet"),
    ("NormalityFigure", "face_attributes.normality", "normality of activations as a table and a picture"),
    ("RunComparison", "training.run_comparison", "losses of all runs below a folder in one figure, and a row each"),
    ("AttributeWriter", "face_attributes.label_writer", "attributes of the faces of a folder as lists"),
    (
        "LayerReconstructions",
        "face_attributes.layer_reconstructions",
        "faces found again from their own activations, layer by layer",
    ),
)
PUBLIC = {name: PublicName(f"callbacks.{module}", summary) for name, module, summary in _TABLE}

__all__ = sorted(PUBLIC)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, PUBLIC)
