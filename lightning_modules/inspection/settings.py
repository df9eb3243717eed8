"""Arguments that both mentoring methods have, and which values cannot work."""

from __future__ import annotations

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.base import MethodSettings, check_class_names
from lightning_modules.inspection.losses import AreaAverage
from lightning_modules.inspection.measures.areas import ThresholdRule
from lightning_modules.nn.gradient_reversal import ReversalSchedule


@settings
class MentoringSettings(MethodSettings):
    """Arguments of a mentoring method."""

    class_names: list[str] | None = argument(
        default=None, help="Classes of defects; the data module gives them.", kw_only=False
    )
    backbone: str = argument(default="resnet18", help="``small`` (trains from nothing on a CPU) or a timm network.")
    pretrained: bool = argument(
        default=False, help="Begin from timm's weights of the backbone, fetched when a training begins."
    )
    width: int = argument(default=12, help="Channels of ``small``.", low=1)
    dropout: float = argument(default=0.0, help="Before the head; sampled by ``mc_samples``.", low=0, high=0.99)
    weak_weight: float = argument(default=1.0, help="lambda of eq. 3; the paper's is 1.", low=0)
    area_average: AreaAverage = argument(
        default="joint",
        help=(
            "Average answered and assumed areas ``joint``ly (paper); ``split``: apart, then added; ``all``: over "
            "all areas of images with answers, so that an answered area weighs as much as a labelled one."
        ),
    )
    omnia_epsilon: float | None = argument(
        default=None,
        help="Areas that the deployed model scored below join M as healthy (paper: 0.01); None: off.",
        low=0,
        high=1,
    )
    healthy_knowledge: bool = argument(default=False, help="All areas of parts flagged healthy join M.")
    domain_weight: float = argument(
        default=0.0, help="Weight of the domain loss (DANN); 0 builds no domain segmenter.", low=0
    )
    domain_schedule: ReversalSchedule = argument(
        default="ganin", help="How the strength of the gradient reversal rises."
    )
    domain_gamma: float = argument(default=10.0, help="Speed of the schedule ``ganin``.", low=0)
    distillation_weight: float = argument(
        default=0.0, help="Weight of agreeing with ``baseline_weights`` where nobody answered.", low=0
    )
    threshold_rule: ThresholdRule = argument(
        default="f1", help="Tune each class's threshold on validation for the greatest ``f1``, or to keep a ``recall``."
    )
    recall_floor: float = argument(default=0.9, help="That recall.", low=0, high=1)
    threshold: float | None = argument(
        default=None, help="One threshold for all classes in place of the tuned ones.", free=True, low=0, high=1
    )
    tile_size: int | None = argument(
        default=None, help="Evaluate larger images in tiles of that many pixels; None: whole.", free=True
    )
    tile_overlap: int = argument(default=0, help="Pixels that tiles share.", free=True)
    mc_samples: int = argument(
        default=0, help="Draws of dropout for the mutual information of detections; 0: none.", free=True, low=0
    )
    embeddings: bool = argument(default=False, help="Detections carry the mean feature of their cells.", free=True)
    learning_rate: float = argument(default=0.003, help="Of the default optimiser, AdamW.")
    weight_decay: float = argument(default=0.0001, help="Of the default optimiser.")
    weights: str | None = argument(
        default=None, help="Checkpoint of the same method to begin from (transfer learning).", saved=False
    )
    backbone_weights: str | None = argument(
        default=None, help="State dict of the timm network, a local file.", saved=False
    )
    baseline_weights: str | None = argument(
        default=None, help="Checkpoint of the deployed model, the teacher of distillation.", saved=False
    )
    warmup_epochs: float = argument(default=1.0, help="Linear warm-up of the default schedule, in epochs.")

    def check(self) -> None:
        """Refuse values that cannot work, alone or with another."""
        check_class_names(self.class_names)
        if self.mc_samples > 0 and self.dropout == 0:
            raise ConfigurationError(
                f"mc_samples is {self.mc_samples}, but dropout is 0, so that all samples would be equal: train "
                "with a dropout above 0, or leave mc_samples at 0."
            )
        if self.baseline_weights is not None and self.distillation_weight == 0:
            raise ConfigurationError(
                f"baseline_weights is {self.baseline_weights}, but only distillation uses it: set "
                "distillation_weight above 0, or leave baseline_weights out (transfer learning takes weights)."
            )


def check_tiles(tile_size: int | None, tile_overlap: int, stride: int) -> None:
    """Raise `ConfigurationError` if tiles do not fit the grid of cells."""
    if tile_size is not None and (tile_size < stride or tile_size % stride or not 0 <= tile_overlap < tile_size):
        raise ConfigurationError(
            f"Tiles of {tile_size} pixels with an overlap of {tile_overlap} do not fit a stride of {stride}: tile_size "
            "must be a multiple of the stride, tile_overlap at least 0 and smaller than tile_size."
        )
