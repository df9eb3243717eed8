"""What the face generator checks before it is built, and what it reports after it has counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.targets.linear_fits import Ridge, fit_regression, fit_weights


def check_facts(own: AttributeSchema, side: int, schema: Mapping[str, Any] | None, size: int | None) -> None:
    """Refuse data whose attributes or size are not those of the classifier; None where they are not known.

    Raises:
        ConfigurationError: If they differ.
    """
    if size is not None and size != side:
        raise ConfigurationError(
            f"The classifier takes faces of {side} pixels, but the data gives {size}: set "
            f"--data.init_args.image_size {side}."
        )
    if schema is None or dict(schema) == own.plain():
        return
    differing = sorted(set(schema.get("attributes", ())) ^ set(own.attributes))
    raise ConfigurationError(
        f"The data and the classifier have other attributes ({', '.join(differing) or 'their order or heads'} differ): "
        "give the data module the schema that the classifier was trained with as --data.init_args.attribute_schema."
    )


def check_sources(mode: str, sources: Sequence[str] | None) -> None:
    """Refuse to find a face again of which there is no picture; ``sources`` is None where faces are given.

    Raises:
        ConfigurationError: If the mode is ``reconstruct`` and a request has no picture.
    """
    if mode == "reconstruct" and sources is not None and not all(sources):
        raise ConfigurationError(
            "The mode reconstruct finds pictures again, but a request has none: give each a picture, by --from-image "
            "or the column file of --from-list, or choose a mode that starts from attributes."
        )


def check_precision(network: nn.Module, precision: object) -> None:
    """Refuse a network of other numbers than float32, in which faces are looked for.

    ``precision`` is the trainer's setting, for the error.

    Raises:
        ConfigurationError: If the weights are of another type.
    """
    kind = next(network.parameters()).dtype
    if kind != torch.float32:
        raise ConfigurationError(
            f"trainer.precision is {precision}, which makes the weights {kind}, but faces are looked for in float32: "
            "set it to 32-true, 16-mixed or bf16-mixed."
        )


def fit_measures(statistics: FaceStatistics, layers: Sequence[str], ridge: Ridge) -> dict[str, float]:
    """How much of the variance of each layer the fits explain, and what the paper's weights and lambda are.

    Args:
        statistics: What a pass left.
        layers: Layers to report.
        ridge: Penalty of the fits; without folds, "cv" takes the paper's 1e-5.

    Returns:
        ``faces``, and by layer ``LAYER/lambda``, ``weight_min``, ``weight_max``, and ``explained`` (regression),
        ``explained_paper`` and ``explained_centred``, shares that may be below 0.
    """
    measures = {"faces": float(statistics.faces)}
    penalty: Ridge = ridge if statistics.folds > 1 or ridge != "cv" else 1e-5
    for layer in layers:
        paper = fit_weights(statistics, layer, "paper", penalty)
        measures |= {
            f"{layer}/lambda": paper.ridge,
            f"{layer}/weight_min": float(paper.weights.min()),
            f"{layer}/weight_max": float(paper.weights.max()),
            f"{layer}/explained": fit_regression(statistics, layer, penalty).explained,
            f"{layer}/explained_paper": paper.explained,
            f"{layer}/explained_centred": fit_weights(statistics, layer, "centred", penalty).explained,
        }
    return measures
