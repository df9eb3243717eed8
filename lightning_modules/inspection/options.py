"""Arguments of a mentoring method: which of them a checkpoint keeps, and which values cannot work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from datamodules.common.errors import ConfigurationError

# No plain values, or names of files that a checkpoint makes superfluous.
NOT_SAVED = ("optimizer", "scheduler", "scheduler_interval", "weights", "backbone_weights", "baseline_weights")
# How a trained model is asked, not what it is: a command may state others than the checkpoint holds.
FREE = ("threshold", "tile_size", "tile_overlap", "mc_samples", "embeddings", "nms_iou", "max_detections")

_RANGES: dict[str, tuple[float, float]] = {
    "coverage": (1e-6, 1.0),
    "dropout": (0.0, 0.99),
    "omnia_epsilon": (0.0, 1.0),
    "threshold": (0.0, 1.0),
    "recall_floor": (0.0, 1.0),
    "weak_weight": (0.0, math.inf),
    "domain_weight": (0.0, math.inf),
    "domain_gamma": (0.0, math.inf),
    "distillation_weight": (0.0, math.inf),
    "positive_weight": (1e-6, math.inf),
    "mc_samples": (0, math.inf),
    "width": (1, math.inf),
}


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that a checkpoint keeps, as a file would hold them.

    Args:
        arguments: ``locals()`` of a constructor.

    Example:
        >>> plain_arguments({"self": None, "weights": "a.ckpt", "anchors": (1, 2)})
        {'anchors': [1, 2]}
    """
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in arguments.items()
        if name not in (*NOT_SAVED, "self", "__class__")
    }


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for the first argument that cannot work, alone or with another."""
    names = arguments["class_names"]
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(
            f"class_names is {names}, but each class needs a name of its own: the data module gives them, or name them "
            "as --model.init_args.class_names."
        )
    for name, (low, high) in _RANGES.items():
        value = arguments.get(name)
        if value is not None and not low <= value <= high:
            bounds = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
            raise ConfigurationError(f"{name} is {value}, but must be {bounds}: correct it.")
    if arguments["mc_samples"] > 0 and arguments["dropout"] == 0:
        raise ConfigurationError(
            f"mc_samples is {arguments['mc_samples']}, but dropout is 0, so that all samples would be equal: train "
            "with a dropout above 0, or leave mc_samples at 0."
        )
    if arguments["baseline_weights"] is not None and arguments["distillation_weight"] == 0:
        raise ConfigurationError(
            f"baseline_weights is {arguments['baseline_weights']}, but only distillation uses it: set "
            "distillation_weight above 0, or leave baseline_weights out (transfer learning takes weights)."
        )


def check_tiles(tile_size: int | None, tile_overlap: int, stride: int) -> None:
    """Raise `ConfigurationError` if tiles do not fit the grid of cells."""
    if tile_size is not None and (tile_size < stride or tile_size % stride or not 0 <= tile_overlap < tile_size):
        raise ConfigurationError(
            f"Tiles of {tile_size} pixels with an overlap of {tile_overlap} do not fit a stride of {stride}: tile_size "
            "must be a multiple of the stride, tile_overlap at least 0 and smaller than tile_size."
        )
