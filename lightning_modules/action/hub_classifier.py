"""Any video or image classifier of `transformers`, without training, over the same streams as our own recogniser."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForVideoClassification,
    AutoVideoProcessor,
    PreTrainedConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING,
)

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.common.settings import argument, settings, takes
from lightning_modules.action.class_groups import ClassGroups, read_groups
from lightning_modules.action.preprocess import ActionPreprocess
from lightning_modules.action.streaming import StreamMethod
from lightning_modules.nn.hub import read_pretrained
from lightning_modules.nn.timm_backbone import IMAGENET_MEAN, IMAGENET_STD

FRAMES_ENTRIES = ("num_frames", "frames_per_clip")  # of a configuration: frames that a video model sees


@settings
class HubSettings:
    """Arguments of `PretrainedActionClassifier`."""

    weights: str | None = argument(
        default=None,
        help="Folder that ``save_pretrained`` wrote, or a name on the Hugging Face Hub.",
        kw_only=False,
        saved=False,
    )
    class_groups: str | dict[str, list[str]] | None = argument(
        default=None,
        help=(
            "Smaller set of labels: ``{group: [label, ...]}``, a YAML or JSON file of it, or the name of a shipped "
            "one, ``action/kinetics_drinking_cooking``. None keeps the model's own labels."
        ),
    )
    other: str | None = argument(default="other", help="Name of the group of all other labels; null leaves them out.")
    clip_length: int | None = argument(
        default=None,
        help=(
            "Frames of a group, a multiple of the frames that a video model sees, to see them further apart; None "
            "takes as many as it sees. Image models need none."
        ),
    )
    predict_batch: int = argument(default=64, help="Frames that the network sees at once.", low=1)
    half: bool = argument(default=True, help="Predict in half precision on a GPU.")


class PretrainedActionClassifier(StreamMethod):
    """A classifier that somebody else trained, for prediction alone.

    An image classifier scores each frame. A video classifier scores clips: a stream is cut into groups of
    ``clip_length`` frames, of which the model sees as many as it was made for, evenly spaced; each frame takes the
    score of its group, and a short last group repeats its last frame.

    Frames arrive as squares, without their aspect ratio; most of these models were trained on centre crops.

    Attributes:
        clip_length: Frames of a group; chunks must hold a multiple of it.
        clip_frames: How many of them the model sees; None for an image classifier.

    Raises:
        CheckpointError: If the model cannot be read.
        ConfigurationError: If it classifies neither videos nor images, or an argument does not fit it.
    """

    @takes(HubSettings)
    def __init__(self, settings: HubSettings) -> None:
        super().__init__()
        weights = settings.weights
        if not weights:
            raise ConfigurationError(
                "PretrainedActionClassifier has no model: name a folder or a model of the Hugging Face Hub with "
                "--model.init_args.weights."
            )
        groups = None if settings.class_groups is None else read_groups(settings.class_groups)
        self.keep(settings, class_groups=groups and {group: list(names) for group, names in groups.items()})
        config = read_pretrained(AutoConfig, weights)
        self.clip_frames = _clip_frames(config, weights)
        self.clip_length = _clip_length(self.clip_frames, settings.clip_length)
        kind = AutoModelForImageClassification if self.clip_frames is None else AutoModelForVideoClassification
        self.network = cast(nn.Module, read_pretrained(kind, weights)).eval().requires_grad_(False)
        self.preprocess = _preprocess(weights, config, video=self.clip_frames is not None)
        labels = [str(config.id2label[at]) for at in sorted(config.id2label)]
        self.class_groups = None if groups is None else ClassGroups(labels, groups, settings.other)
        self.class_names = labels if self.class_groups is None else list(self.class_groups.names)

    def setup(self, stage: str) -> None:
        """Refuse everything but prediction."""
        if stage != "predict":
            raise ConfigurationError(
                f"PretrainedActionClassifier only predicts, it cannot {stage}: train FrameAveragingActionRecognizer."
            )

    def chunk_scores(self, frames: Tensor) -> Tensor:
        """Probabilities ``(T, G)`` of uint8 frames ``(T, 3, S, S)``, groups counted from the first frame."""
        if self.clip_frames is None:
            return super().chunk_scores(frames)
        length = self.clip_length
        missing = -len(frames) % length
        whole = torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)]) if missing else frames
        clips = whole.reshape(-1, length, *frames.shape[1:])[:, :: length // self.clip_frames]
        at_once = max(1, int(self.hparams["predict_batch"]) // self.clip_frames)
        scores = torch.cat([self._score(part) for part in torch.split(clips, at_once)])
        return scores.repeat_interleave(length, dim=0)[: len(frames)]

    def frame_scores(self, frames: Tensor) -> Tensor:
        """Probabilities ``(T, G)`` of uint8 frames ``(T, 3, S, S)``; of clips ``(N, T, 3, S, S)``, ``(N, G)``."""
        pixels = self.preprocess(frames.flatten(0, -4))
        pixels = pixels.reshape(*frames.shape[:-3], *pixels.shape[1:])
        name = cast(str, self.network.main_input_name)
        scores: Tensor = self.network(**{name: pixels.contiguous()}).logits.float().softmax(dim=1)
        return scores if self.class_groups is None else self.class_groups.scores(scores)


def _clip_frames(config: PreTrainedConfig, weights: str) -> int | None:
    """Frames that a video classifier sees; None for an image classifier."""
    if type(config) in MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING:
        for name in FRAMES_ENTRIES:
            if isinstance(getattr(config, name, None), int):
                return int(getattr(config, name))
        raise ConfigurationError(f"{weights} does not say how many frames it sees: its config.json lacks num_frames.")
    if type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        return None
    raise ConfigurationError(
        f"{weights} is a {config.model_type}, which classifies neither videos nor images: give a model such as "
        "VideoMAE, TimeSformer or ViT."
    )


def _clip_length(clip_frames: int | None, clip_length: int | None) -> int:
    if clip_frames is None:
        return 1
    if clip_length is None:
        return clip_frames
    if clip_length < 1 or clip_length % clip_frames:
        raise ConfigurationError(
            f"clip_length is {clip_length}, but the model sees {clip_frames} frames at a time: set "
            f"--data.init_args.clip_length to {clip_frames}, or to a multiple of it to take frames further apart."
        )
    return clip_length


def _preprocess(weights: str, config: PreTrainedConfig, video: bool) -> ActionPreprocess:
    """The normalisation and size that the model's own processor states."""
    kinds = (AutoVideoProcessor, AutoImageProcessor) if video else (AutoImageProcessor,)
    for kind in kinds:
        try:
            processor = read_pretrained(kind, weights)
        except CheckpointError:  # a model may have but one of the two
            continue
        return ActionPreprocess(*_statistics(processor), _side(processor, config))
    return ActionPreprocess(IMAGENET_MEAN, IMAGENET_STD, _side(None, config))


def _statistics(processor: object) -> tuple[list[float], list[float]]:
    """Mean and deviation of pixels in 0..1 that say what a processor does to bytes."""
    scale = 255.0 * (float(getattr(processor, "rescale_factor", 1 / 255)) if _does(processor, "rescale") else 1.0)
    shift = 1.0 if getattr(processor, "offset", False) and _does(processor, "rescale") else 0.0
    mean, std = [0.0] * 3, [1.0] * 3
    if _does(processor, "normalize"):
        mean, std = list(getattr(processor, "image_mean", mean)), list(getattr(processor, "image_std", std))
    return [(value + shift) / scale for value in mean], [value / scale for value in std]


def _does(processor: object, step: str) -> bool:
    return bool(getattr(processor, f"do_{step}", True))


def _side(processor: object, config: PreTrainedConfig) -> int:
    """Side of the model's input in pixels."""
    sizes = [getattr(config, "image_size", None)]
    for name in ("crop_size", "size") if processor is not None else ():
        size = getattr(processor, name, None)
        sizes += [getattr(size, side, None) for side in ("height", "shortest_edge")]
    sizes.append(getattr(config, "crop_size", None))
    for size in sizes:
        if isinstance(size, (list, tuple)) and len(set(size)) == 1:
            return int(size[0])
        if isinstance(size, int):
            return size
    raise ConfigurationError("The model does not say how large its input is: its processor states no square size.")
