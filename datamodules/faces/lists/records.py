"""What is known of labelled faces before a picture is decoded: columns of many faces, not an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.common import splits as common
from datamodules.common.splits import SPLITS as SPLITS
from datamodules.common.splits import SplitName as SplitName
from datamodules.faces.schema import MISSING


class LabelTable(NamedTuple):
    """Labels of one split in the order of its rows.

    Attributes:
        attributes: int8 ``(N, K)``: 1 present, 0 absent, -1 missing.
        files: Path of each picture as its list writes it; for a generated face a name that says how to draw it again.
        identities: Name of each person, empty where unknown.
    """

    attributes: Tensor
    files: list[str]
    identities: list[str]


@dataclass(frozen=True)
class FaceList:
    """N faces in the order of their list.

    Attributes:
        paths: Absolute path of each picture.
        names: The same as the list writes it, or relative to its folder.
        identities: Name of each person, empty where unknown.
        attributes: int8 ``(N, K)`` in the order of the schema; -1 where the list says nothing.
        values: Real values of a list that has them, float32 ``(N, K)``, NaN where missing.
        boxes: Left, top, right and bottom of each face in pixels of the upright picture, float32 ``(N, 4)``; NaN
            where the whole picture is the face.
        splits: Split that the list names for each; None where it names none.
        sources: List and line of each, for messages.
    """

    paths: Sequence[str]
    names: Sequence[str]
    identities: Sequence[str]
    attributes: NDArray[np.int8]
    boxes: NDArray[np.float32]
    values: NDArray[np.float32] | None = None
    splits: Sequence[SplitName | None] = field(default=())
    sources: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if not self.splits:
            object.__setattr__(self, "splits", (None,) * len(self.paths))
        if not self.sources:
            object.__setattr__(self, "sources", tuple(self.names))

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> FaceList:
        """Some of the faces, in the order of ``rows``."""
        places = np.asarray(rows, dtype=np.int64)
        chosen = places.tolist()
        return FaceList(
            paths=[self.paths[row] for row in chosen],
            names=[self.names[row] for row in chosen],
            identities=[self.identities[row] for row in chosen],
            attributes=self.attributes[places],
            boxes=self.boxes[places],
            values=None if self.values is None else self.values[places],
            splits=[self.splits[row] for row in chosen],
            sources=[self.sources[row] for row in chosen],
        )

    def with_boxes(self, boxes: NDArray[np.float32]) -> FaceList:
        """The same faces with other boxes."""
        return replace(self, boxes=boxes)

    def table(self) -> LabelTable:
        """The labels alone."""
        return LabelTable(torch.from_numpy(self.attributes), list(self.names), list(self.identities))


def unlabelled(paths: Sequence[str], names: Sequence[str], attributes: int) -> FaceList:
    """Pictures, by their absolute paths and names, of which nothing is said; K attributes."""
    return FaceList(
        paths=paths,
        names=names,
        identities=[""] * len(paths),
        attributes=np.full((len(paths), attributes), MISSING, dtype=np.int8),
        boxes=np.full((len(paths), 4), np.nan, dtype=np.float32),
    )


def split_of(word: str) -> SplitName | None:
    """Split that a word of a list means, CelebA's numbers included; None for any other word.

    Example:
        >>> [split_of(word) for word in ("Validation", "0", "somewhere")]
        ['val', 'train', None]
    """
    word = word.strip()
    return SPLITS[int(word)] if word in ("0", "1", "2") else common.split_of(word)
