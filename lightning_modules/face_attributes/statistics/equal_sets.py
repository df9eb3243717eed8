"""Random sets of faces of equal size, one for each attribute: whose activations give its mean and its variance."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import PRESENT
from lightning_modules.face_attributes.statistics.label_columns import index_hash


def draw_equal_sets(attributes: Tensor, seed: int, size: int | None = None) -> Tensor:
    """Draw as many faces for each attribute as the rarest one has (Cate, Dalvi, Hussain 2016, section 3.3.2).

    Args:
        attributes: int8 ``(N, K)``, the labels of all N faces of a split, in the order of their rows.
        seed: Gives the draw.
        size: Faces in each set; None takes as many as the rarest attribute that occurs at all has.

    Returns:
        bool ``(N, K)``: face i belongs to the set of attribute j. An attribute that no face has gets no face.

    Raises:
        ConfigurationError: If ``size`` is below two or an attribute has fewer faces than that, but not none.
    """
    present = attributes == PRESENT
    counts = present.sum(0)
    occurring = counts[counts > 0]
    rarest = int(occurring.min()) if len(occurring) else 0
    wanted = rarest if size is None else size
    if wanted < 2 or wanted > rarest:
        raise ConfigurationError(
            f"Sets of {wanted} faces cannot be drawn for each attribute: the rarest one has {rarest} faces, and a "
            "variance needs two: exclude rare attributes, or choose a size between."
        )
    rows = torch.arange(len(present))
    sets = torch.zeros_like(present)
    for column in range(present.shape[1]):
        having = rows[present[:, column].cpu()]
        order = index_hash(having, seed * present.shape[1] + column + 2).argsort()
        sets[having[order[:wanted]], column] = True
    return sets & present
