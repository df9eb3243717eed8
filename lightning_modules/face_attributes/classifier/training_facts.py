"""What a classifier takes from its training faces before it learns: mean image, class weights, labelled attributes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.face_attributes.batch import FaceBatch
from datamodules.faces.schema import MISSING, AttributeSchema
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.losses import ClassWeights, balanced_weights
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess

log = logging.getLogger(__name__)

LABELLED = "labelled_attributes"  # key of a checkpoint: what the heads say of other attributes means nothing
FACES = 2048  # about as many are read for the mean; its error is then below one grey level


class TrainingFaces(Protocol):
    """A data module that gives the faces of a training."""

    def train_dataloader(self) -> Iterable[FaceBatch]:
        """Batches of them."""


def training_mean(
    data: TrainingFaces | None,
    preprocess: FacePreprocess,
    processes: int,
    add_up: Callable[[Tensor], Tensor],
) -> Tensor:
    """Mean of the training faces, the same on every process.

    Args:
        data: Data module of a training, with ``train_dataloader``; None where there is none.
        preprocess: See `sum_of_faces`.
        processes: Number of processes, each of which reads its share.
        add_up: Adds a tensor up over them.

    Returns:
        ``(3, S, S)`` in the units of the network's input before the mean is taken off.

    Raises:
        ConfigurationError: If there is no data module.
    """
    if data is None:
        raise ConfigurationError(
            "mean is image, but there is no data module to take the mean of: give one, or set mean to colour."
        )
    log.info("computing the mean image of about %d training faces", FACES)
    total, count = sum_of_faces(data.train_dataloader(), preprocess, FACES // processes)
    return add_up(total) / add_up(count)


def training_weights(data: object, heads: AttributeHeads) -> ClassWeights:
    """Weights that give every answer of a head the same say in the loss.

    Args:
        data: Data module of a training, with ``label_table``.
        heads: See `balanced_weights`.

    Raises:
        ConfigurationError: If the data does not know its labels before it is read.
    """
    labels = _training_labels(data)
    if labels is None:
        raise ConfigurationError(
            "class_weighting is balanced, but the data does not say how often each attribute is there: give a "
            "data module with label_table, or set class_weighting to none."
        )
    return balanced_weights(heads, labels.to(heads.linear.weight.device))


def training_labelled(data: object, schema: AttributeSchema) -> frozenset[str] | None:
    """Names of the attributes that some training face has a label for; None where the data does not say."""
    labels = _training_labels(data)
    return None if labels is None else labelled_in(schema, labels)


def _training_labels(data: object) -> Tensor | None:
    """Labels of all training faces, int8 ``(N, K)``; None where the data has no table of them."""
    table = getattr(data, "label_table", None)
    return None if table is None else cast(Tensor, table("train")[0])


def sum_of_faces(batches: Iterable[FaceBatch], preprocess: FacePreprocess, faces: int = FACES) -> tuple[Tensor, Tensor]:
    """Sum of the first faces of some batches, and their number; the original's preprocessing takes their mean off.

    Args:
        batches: Training faces.
        preprocess: Gives size, units and order of the colours.
        faces: No batch is read once that many faces were seen.

    Returns:
        Sum in the units of the network's input before the mean is taken off, float64 ``(3, S, S)``, and the number of
        faces, float64; both on the device of ``preprocess``, and both to be added over processes.
    """
    device = preprocess.std.device
    total = torch.zeros(3, preprocess.side, preprocess.side, dtype=torch.float64, device=device)
    count = 0
    for batch in batches:
        images = batch["image"][batch["valid"]].to(device)
        pixels = preprocess(images) * preprocess.std + preprocess.mean
        total += pixels.double().sum(dim=0)
        count += len(images)
        if count >= faces:
            break
    return total, torch.tensor(float(count), dtype=torch.float64, device=device)


def labelled_in(schema: AttributeSchema, attributes: Tensor) -> frozenset[str]:
    """Names of the attributes that at least one face has a label for.

    Args:
        schema: K attributes.
        attributes: int8 ``(N, K)``: 1 present, 0 absent, -1 missing.
    """
    known = (attributes != MISSING).any(dim=0).tolist()
    return frozenset(name for name, told in zip(schema.attributes, known, strict=True) if told)


def labelled_of(checkpoint: Mapping[str, Any]) -> frozenset[str] | None:
    """Names that a checkpoint keeps; None where it keeps none, so that nothing is known about it."""
    names = checkpoint.get(LABELLED)
    return None if names is None else frozenset(map(str, names))


def without_unlabelled(
    answers: Mapping[str, Tensor], schema: AttributeSchema, labelled: frozenset[str] | None
) -> dict[str, Tensor]:
    """Answers with ``decision`` -1 and ``probability`` NaN of each attribute that was never labelled.

    Args:
        answers: ``probability`` float ``(B, K)`` and ``decision`` int8 ``(B, K)``.
        schema: K attributes.
        labelled: Those that were; None: not known, so all answers stay.

    Example:
        >>> from datamodules.faces.schema import Head
        >>> schema = AttributeSchema(("A", "B"), (Head("both", "overlapping", ("A", "B")),))
        >>> said = {"probability": torch.ones(1, 2), "decision": torch.ones(1, 2, dtype=torch.int8)}
        >>> without_unlabelled(said, schema, frozenset({"A"}))["decision"].tolist()
        [[1, -1]]
    """
    if labelled is None:
        return dict(answers)
    probability, decision = answers["probability"], answers["decision"]
    untold = torch.tensor([name not in labelled for name in schema.attributes], device=decision.device)
    return {
        "probability": probability.masked_fill(untold, torch.nan),
        "decision": decision.masked_fill(untold, MISSING),
    }
