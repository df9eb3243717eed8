"""Arguments of the classifier."""

from __future__ import annotations

from typing import Any, Literal

from datamodules.common.settings import argument, settings
from lightning_modules.base import MethodSettings
from lightning_modules.face_attributes.classifier.freezing import NOTHING
from lightning_modules.face_attributes.classifier.heads import Layout
from lightning_modules.face_attributes.classifier.legacy_labels import Labelling
from lightning_modules.face_attributes.classifier.losses import OrdinalLoss, Reduction
from lightning_modules.face_attributes.classifier.preprocess import ChannelOrder, Preprocessing
from lightning_modules.face_attributes.classifier.vgg import VGGSettings
from lightning_modules.nn.optimizers import OptimizerName

PresetName = Literal["default", "paper"]
Schedule = Literal["cosine", "constant"]
MeanKind = Literal["colour", "image"]
DEFAULT_SIZE = 224


@settings
class ClassifierConfig:
    """Arguments that a preset fills when they are left at None."""

    mean: MeanKind = argument(
        default="colour",
        help="What it takes off: the mean ``colour``, or (``paper``) the mean ``image`` of the training faces.",
        by_preset=True,
    )
    freeze_below: str = argument(
        default=NOTHING,
        help=(
            "Layer below which nothing learns: ``none``, ``fc6``, ``conv5`` (``paper``), any layer, or ``heads``, "
            "which alone learn then."
        ),
        by_preset=True,
    )
    dropout: float = argument(
        default=0.5,
        help="Behind the fully connected layers of a VGG, or before the heads; 0.5.",
        by_preset=True,
        low=0,
        high=0.99,
    )
    dropout_everywhere: bool = argument(default=False, help="Behind the convolutions of a VGG too.", by_preset=True)
    layout: Layout = argument(
        default="by_kind",
        help=(
            "``by_kind``: sigmoids and softmaxes as the kinds of the heads ask for; ``softmax`` (``paper``): one "
            'with "none" for every head, 115 outputs.'
        ),
        by_preset=True,
    )
    labelling: Labelling = argument(
        default="repaired",
        help="``repaired``, or ``legacy_random``: of several true attributes of a head, one at random is true.",
        by_preset=True,
    )
    reduction: Reduction = argument(
        default="mean", help="``mean`` of the heads' losses, or (``paper``) their ``sum``.", by_preset=True
    )
    optimizer_name: OptimizerName = argument(
        default="adamw", help="Default optimiser; ``adamw``, ``paper`` ``sgd``.", by_preset=True
    )
    learning_rate: float = argument(
        default=0.0003, help="Of the default optimiser; 3e-4, ``paper`` 5e-6.", by_preset=True, low=1e-12
    )
    momentum: float = argument(default=0.9, help="Of SGD; 0.9.", by_preset=True, low=0, high=0.9999)
    weight_decay: float = argument(
        default=0.01, help="Of the default optimiser; 0.01, ``paper`` 5e-4.", by_preset=True, low=0
    )
    schedule: Schedule = argument(
        default="cosine",
        help="``cosine`` rises and falls a step at a time, ``constant`` (``paper``) leaves the learning rate.",
        by_preset=True,
    )


@settings
class ClassifierSettings(ClassifierConfig, MethodSettings):
    """Arguments of `FaceAttributeClassifier`."""

    preset: PresetName = argument(
        default="default",
        help="``default``, or ``paper``: SGD of 5e-6, dropout behind every layer, a softmax for every head.",
        kw_only=False,
    )
    attribute_schema: dict[str, Any] | None = argument(
        default=None, help="Attributes in heads as plain values; the data module gives them (None: 73 in 42 heads)."
    )
    image_size: int | None = argument(
        default=None, help="Side of the network's input in pixels; the data module gives it (None: 224).", low=1
    )
    backbone: str = argument(default="vgg16", help="``vgg16``, ``small_vgg``, or a timm network.")
    vgg: VGGSettings | None = argument(default=None, help="Another shape for a VGG.")
    pretrained: bool = argument(
        default=False, help="Begin from timm's weights of a timm backbone, fetched when a training begins."
    )
    backbone_weights: str | None = argument(
        default=None,
        help="Weights of the backbone: VGG-Face in its public layouts, torchvision's or timm's.",
        saved=False,
    )
    weights_channel_order: ChannelOrder | None = argument(
        default=None,
        help="Colours that the file's network takes; None: as the published files of its layout.",
        saved=False,
    )
    preprocessing: Preprocessing | None = argument(
        default=None, help="Normalisation; None: that which the weights, or else the backbone, were made for."
    )
    layer_decay: float = argument(
        default=1.0,
        help="The learning rate of a layer is this to the power of its distance to the heads.",
        low=1e-06,
        high=1,
    )
    ordinal: OrdinalLoss = argument(
        default="softmax",
        help="``softmax``, or ``cumulative``: near places in the order of an ordinal head cost less than far ones.",
    )
    class_weighting: Literal["none", "balanced"] = argument(
        default="none", help="``balanced`` gives every answer of a head the same say in the loss."
    )
    weights: str | None = argument(
        default=None,
        help="Checkpoint of a classifier to begin from; the heads only where they are the same.",
        saved=False,
    )
    warmup_epochs: float = argument(default=0.0, help="Linear warm-up of ``cosine``, in epochs.", low=0)

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.image_size or DEFAULT_SIZE


PRESETS: dict[PresetName, ClassifierConfig] = {
    "default": ClassifierConfig(),
    "paper": ClassifierConfig(
        freeze_below="conv5",
        dropout_everywhere=True,
        layout="softmax",
        reduction="sum",
        mean="image",
        optimizer_name="sgd",
        learning_rate=5e-6,
        weight_decay=5e-4,
        schedule="constant",
    ),
}
