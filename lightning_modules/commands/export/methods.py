"""The graph of each method that has one, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ExportError
from datamodules.video_quality.settings import ClipSettings
from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.base import Method
from lightning_modules.commands.export.plan import BATCH, Plan
from lightning_modules.commands.exported.boxes import kept_places
from lightning_modules.commands.exported.manifest import TensorFacts
from lightning_modules.commands.exported.session import Array, Arrays
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.inspection.detector.anchors import decode_boxes
from lightning_modules.inspection.detector.module import MentoringDetector
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from lightning_modules.inspection.segmenter.network import GridSegmenter
from lightning_modules.video_quality.module import KSVQE
from lightning_modules.video_quality.network import KSVQENetwork, KSVQEOutput

_PICTURE_STEP = 32  # sides of pictures of parts, as batches are padded
Data = Mapping[str, Any]  # options of the data module, by name


class _Graph(nn.Module):
    """Preprocessing, network, and what is made of its output."""

    def __init__(self, preprocess: nn.Module, network: nn.Module, finish: Callable[[Any], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network
        self.finish = finish

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self.preprocess(*inputs)
        return self.finish(self.network(*made) if isinstance(made, tuple) else self.network(made))


# Video quality.


def video_quality(model: KSVQE, data: Data) -> Plan:
    """Score of a clip, with the windows that were looked at."""
    config, network = model.config, model.network
    options = {field.name: data[field.name] for field in fields(ClipSettings) if field.name in data}
    clips = ClipSettings(**{**options, **{name: getattr(config, name) for name in _CLIP_FACTS}})
    keys, side = clips.num_key_frames, clips.side
    module = _Graph(model.preprocess, network, _quality_outputs).eval()
    known = bool(model.score_map.isfinite().all())
    return Plan(
        method=KSVQE.__name__,
        module=module,
        inputs=(
            TensorFacts("fragments", "uint8", (BATCH, 3, clips.clip_length, side, side)),
            TensorFacts("key_frames", "uint8", (BATCH, keys, 3, clips.content_size, clips.content_size)),
        ),
        outputs=(
            TensorFacts("score", "float32", (BATCH,)),
            TensorFacts("importance", "float32", (BATCH, keys, "rows", "columns")),
            TensorFacts("candidate_scores", "float32", (BATCH, keys, network.selection.side**2)),
            TensorFacts("region_index", "int64", (BATCH, keys)),
        ),
        facts={
            "clips": {field.name: getattr(clips, field.name) for field in fields(ClipSettings)},
            "tone_mapping": data.get("tone_mapping", False),
            "reader": data.get("reader", "pyav"),  # decord brings torch along where there is one
            "decode_timeout": data.get("decode_timeout", 60.0),
            "score_map": model.score_map.tolist() if known else None,
            "label_range": list(config.label_range),
        },
        continuous=("importance", "candidate_scores"),
        select=lambda outputs: outputs["region_index"],
        feed=partial(_fed_score, module, network),
        scored="score",
    )


_CLIP_FACTS = (
    "grid_size", "fragment_size", "clip_length", "key_frame_layout", "num_key_frames", "content_size",
)  # fmt: skip


def _quality_outputs(output: KSVQEOutput) -> tuple[Tensor, ...]:
    return output.score, output.importance, output.selection.candidate_scores, output.selection.index


class _Chosen(nn.Module):
    """In the place of the top-1: a choice that is given."""

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.index = index

    def forward(self, scores: Tensor) -> Tensor:
        return F.one_hot(self.index, scores.shape[-1]).to(scores.dtype).unsqueeze(-2)


@contextmanager
def _choosing(network: KSVQENetwork, index: NDArray[np.int64]) -> Iterator[None]:
    own = network.selection.topk
    network.selection.topk = cast(Any, _Chosen(torch.from_numpy(index)))
    try:
        yield
    finally:
        network.selection.topk = own


@torch.inference_mode()
def _fed_score(module: nn.Module, network: KSVQENetwork, inputs: Arrays, chosen: NDArray[Any]) -> Array:
    with _choosing(network, chosen):
        outputs = module(torch.from_numpy(inputs["fragments"]), torch.from_numpy(inputs["key_frames"]))
    return cast(Array, outputs[0].numpy())


# Faces.


def face_attributes(model: FaceAttributeClassifier, data: Data) -> Plan:
    """Probabilities and decisions of the attributes."""
    names, side = model.schema.attributes, int(model.hparams["image_size"])
    heads = model.network.heads

    def finish(logits: Tensor) -> tuple[Tensor, ...]:
        return logits, heads.probabilities(logits), heads.decisions(logits)

    labelled = model.labelled
    return Plan(
        method=FaceAttributeClassifier.__name__,
        module=_Graph(model.preprocess, model.network, finish).eval(),
        inputs=(TensorFacts("image", "uint8", (BATCH, 3, side, side)),),
        outputs=(
            TensorFacts("logits", "float32", (BATCH, heads.num_logits)),
            TensorFacts("probability", "float32", (BATCH, len(names))),
            TensorFacts("decision", "int8", (BATCH, len(names))),
        ),
        facts={
            "attributes": list(names),
            "schema": model.schema.plain(),
            "unlabelled": [] if labelled is None else [name for name in names if name not in labelled],
            "image_size": side,
        },
        continuous=("logits", "probability"),
        select=lambda outputs: outputs["decision"],
    )


# Actions.


def actions(model: FrameAveragingActionRecognizer, data: Data) -> Plan:
    """Probability of each class in each frame, as in prediction."""
    side, classes = model.config.side, list(model.class_names)
    return Plan(
        method=FrameAveragingActionRecognizer.__name__,
        module=_Graph(
            _Predicting(model.preprocess), model.network, lambda logits: (logits.float().softmax(dim=1),)
        ).eval(),
        inputs=(TensorFacts("frames", "uint8", (BATCH, 3, side, side)),),
        outputs=(TensorFacts("scores", "float32", (BATCH, len(classes))),),
        facts={
            "class_names": classes,
            "frame_size": side,
            "predict_batch": int(model.hparams["predict_batch"]),
            "tone_mapping": data.get("tone_mapping", False),
            "rate": data.get("rate"),
            "decode_timeout": data.get("decode_timeout", 60.0),
            # As of configs/action/annotate.yaml; whoever runs the graph may write others into the file.
            "segments": {"seconds": 2.0, "mode": "trailing", "enter": 0.5, "leave": 0.3},
        },
        continuous=("scores",),
        select=lambda outputs: outputs["scores"].argmax(axis=1),
    )


class _Predicting(nn.Module):
    """Preprocessing as in prediction, which the original script treated in another way."""

    def __init__(self, preprocess: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess

    def forward(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.preprocess(frames, predicting=True))


# Parts.


def _part_facts(model: MentoringSegmenter | MentoringDetector, data: Data) -> dict[str, Any]:
    return {
        "class_names": list(model.class_names),
        "thresholds": model.applied_thresholds().tolist(),
        "stride": model.stride,
        "image_size": data.get("image_size"),
        "white_level": data.get("white_level"),
        "tile_size": model.config.tile_size,
        "tile_overlap": model.config.tile_overlap,
    }


_PICTURE = TensorFacts("image", "uint8", (BATCH, 3, "height", "width"), _PICTURE_STEP)


def segmenter(model: MentoringSegmenter, data: Data) -> Plan:
    """Score of each class and cell, and the features that detections carry."""
    facts = _part_facts(model, data)
    network = cast(GridSegmenter, model.network)
    limits = np.asarray(facts["thresholds"], dtype=np.float32)[:, None, None]
    return Plan(
        method=MentoringSegmenter.__name__,
        module=_Graph(
            model.preprocess, network, lambda output: (output.logits.float().sigmoid(), output.features)
        ).eval(),
        inputs=(_PICTURE,),
        outputs=(
            TensorFacts("scores", "float32", (BATCH, len(model.class_names), "rows", "columns")),
            TensorFacts("features", "float32", (BATCH, network.num_features, "rows", "columns")),
        ),
        facts=facts,
        continuous=("scores", "features"),
        select=lambda outputs: outputs["scores"] >= limits,
    )


def detector(model: MentoringDetector, data: Data) -> Plan:
    """Score of each class and anchor, the box of each anchor, and the features that detections carry."""
    anchors, stride, classes = model.network.anchors, model.stride, len(model.class_names)
    if bool(anchors.isnan().any()):
        raise ExportError("the detector has no anchors yet, so it finds nothing: export a checkpoint of a training")
    facts = {
        **_part_facts(model, data),
        "anchors": anchors.tolist(),
        "nms_iou": model.config.nms_iou,
        "max_detections": model.config.max_detections,
    }
    return Plan(
        method=MentoringDetector.__name__,
        module=_Graph(
            model.preprocess,
            model.network,
            lambda output: (output.scores(), decode_boxes(output.box, anchors, stride), output.features),
        ).eval(),
        inputs=(_PICTURE,),
        outputs=(
            TensorFacts("scores", "float32", (BATCH, classes, len(anchors), "rows", "columns")),
            TensorFacts("boxes", "float32", (BATCH, len(anchors), 4, "rows", "columns")),
            TensorFacts("features", "float32", (BATCH, model.network.num_features, "rows", "columns")),
        ),
        facts=facts,
        continuous=("scores", "boxes", "features"),
        select=partial(kept_places, facts),
    )


BUILDERS: dict[str, Callable[[Any, Data], Plan]] = {
    KSVQE.__name__: video_quality,
    FaceAttributeClassifier.__name__: face_attributes,
    FrameAveragingActionRecognizer.__name__: actions,
    MentoringSegmenter.__name__: segmenter,
    MentoringDetector.__name__: detector,
}


_NUMBERS = ("image_size", "rate", "decode_timeout")
_DATA: dict[str, tuple[str, ...]] = {
    KSVQE.__name__: (
        *(field.name for field in fields(ClipSettings) if field.name not in _CLIP_FACTS), "reader", "decode_timeout",
        "tone_mapping",
    ),
    FaceAttributeClassifier.__name__: (),
    FrameAveragingActionRecognizer.__name__: ("rate", "decode_timeout", "tone_mapping"),
    MentoringSegmenter.__name__: ("image_size",),
    MentoringDetector.__name__: ("image_size",),
}  # fmt: skip


def check_data(method: str, stated: Data) -> None:
    """Refuse options of the data that would be passed over, or cannot be.

    Raises:
        CommandLineError: Naming the option and what there is.
    """
    known = _DATA[method]
    for name, value in stated.items():
        if name not in known:
            hint = did_you_mean(name, known) or f", but {method} has none"
            raise CommandLineError(f"--data names {name}{hint}")
        number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        if name in _NUMBERS and value is not None and not number:
            raise CommandLineError(f"--data {name} is {value!r}, but a number above 0 is needed")


def plan_of(model: Method, data: Data) -> Plan:
    """What is exported of a method.

    Args:
        model: The method, from its checkpoint.
        data: Options of the data module that decide what the network sees.
    """
    return BUILDERS[type(model).__name__](model, data)
