"""Which class a picture is of, by its attributes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.common.errors import LabelError
from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema, normalised

UNKNOWN = -1


def class_names(classes: Sequence[str]) -> list[str]:
    """Names of the classes: of one attribute with and without.

    Example:
        >>> class_names(["Eyeglasses"]), class_names(["A", "B", "C"])
        (['Eyeglasses', 'no Eyeglasses'], ['A', 'B', 'C'])
    """
    return [classes[0], f"no {classes[0]}"] if len(classes) == 1 else list(classes)


def classes_of(attributes: Tensor, schema: AttributeSchema, classes: Sequence[str]) -> Tensor:
    """Class of each picture, int64 ``(N,)``; -1 where it is not known, or several are shown.

    Args:
        attributes: int8 ``(N, K)`` in the order of the schema.
        schema: The attributes.
        classes: One attribute, or several of which a picture shows one.

    Raises:
        LabelError: If one is no attribute of the schema.
    """
    places = {normalised(name): place for place, name in enumerate(schema.attributes)}
    unknown = [name for name in classes if normalised(name) not in places]
    if unknown:
        raise LabelError(
            f"classes names {', '.join(unknown)}, but the attributes are {', '.join(schema.attributes)}: correct the "
            "name"
        )
    shown = attributes[:, [places[normalised(name)] for name in classes]]
    if len(classes) == 1:
        known = torch.where(shown[:, 0] == ABSENT, 1, UNKNOWN)
        return torch.where(shown[:, 0] == PRESENT, 0, known).long()
    present = shown == PRESENT
    return torch.where(present.sum(dim=1) == 1, present.long().argmax(dim=1), UNKNOWN)


def class_weights(labels: Tensor, target: Sequence[float]) -> Tensor:
    """Weight pi_k / d_k of each picture, of mean 1, float32 ``(N,)``; 0 where the class is not known.

    Raises:
        LabelError: If a wanted class has no picture.

    Example:
        >>> class_weights(torch.tensor([0, 0, 0, 1]), [0.5, 0.5]).round(decimals=3).tolist()
        [0.6669999957084656, 0.6669999957084656, 0.6669999957084656, 2.0]
    """
    known = labels >= 0
    counts = torch.bincount(labels[known], minlength=len(target)).double()
    wanted = torch.tensor(target, dtype=torch.float64)
    if bool(((counts == 0) & (wanted > 0)).any()):
        raise LabelError(
            f"target wants the shares {list(target)}, but the training pictures of the classes are "
            f"{counts.long().tolist()}: a class without a picture cannot be weighed up"
        )
    ratio = torch.where(counts > 0, wanted / (counts / len(labels)).clamp(min=1e-12), torch.zeros(()).double())
    return torch.where(known, ratio[labels.clamp(min=0)], torch.zeros(()).double()).float()
