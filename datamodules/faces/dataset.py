"""Faces of one split as whole batches, from files or from the renderer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.common.errors import ImageError
from datamodules.common.sampler import SampleIndex, WholeBatches
from datamodules.faces.batch import FaceBatch
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.faces.lists.records import FaceList, LabelTable
from datamodules.images.upright import read_picture
from datamodules.summary.findings import OnError


class FaceSource(Protocol):
    """Where the faces of one split come from."""

    def __len__(self) -> int:
        """Number N of faces."""

    def batch(self, index: Tensor, valid: Tensor, epoch: int) -> FaceBatch:
        """Some faces.

        Args:
            index: Their rows, int64 ``(B,)``.
            valid: bool ``(B,)``; the picture of padding may be anything.
            epoch: Epoch of the run; only sources that make new faces each epoch look at it.
        """

    def table(self) -> LabelTable:
        """Labels of all N faces, without a picture."""


class ListedFaces:
    """Faces of a list of files, cut out when they are asked for.

    Args:
        faces: The list.
        image_size: Side S of a crop in pixels.
        crop_margin: What is added to each side of a box, as a share of its longer side.
        on_error: "raise" stops at a picture that cannot be read, "skip" gives a row that is not valid.
    """

    def __init__(self, faces: FaceList, image_size: int, crop_margin: float, on_error: OnError = "raise") -> None:
        self.faces = faces
        self._on_error = on_error
        self._size = image_size
        self._margin = crop_margin

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.faces)

    def batch(self, index: Tensor, valid: Tensor, epoch: int) -> FaceBatch:
        """Some faces; the picture of padding is black and not read."""
        rows = index.tolist()
        pictures, errors = read_each(
            [partial(self.picture, row) if keep else None for row, keep in zip(rows, valid.tolist(), strict=True)],
            self._size,
            self._on_error,
        )
        batch = FaceBatch(
            image=torch.from_numpy(np.stack(pictures)),
            attributes=torch.from_numpy(self.faces.attributes[rows]),
            index=index,
            valid=valid & torch.tensor([not error for error in errors]),
            file=[self.faces.names[row] for row in rows],
            identity=[self.faces.identities[row] for row in rows],
        )
        if any(errors):
            batch["error"] = errors
        if self.faces.values is not None:
            batch["values"] = torch.from_numpy(self.faces.values[rows])
        return batch

    def picture(self, row: int) -> NDArray[np.uint8]:
        """One face, uint8 ``(3, S, S)``.

        Raises:
            ImageError: If its file cannot be read.
        """
        image = read_picture(self.faces.paths[row], self.faces.sources[row])
        return cut_face(image, square_of(self.faces.boxes[row], image.size, self._margin), self._size)

    def table(self) -> LabelTable:
        """Labels of all faces."""
        return self.faces.table()


def read_each(
    readers: Sequence[Callable[[], NDArray[np.uint8]] | None], size: int, on_error: OnError
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Pictures of a batch, uint8 ``(3, S, S)`` each, and why one could not be read.

    Args:
        readers: Gives a picture; None for one that is black and not read.
        size: Side S.
        on_error: "skip" makes a picture black that cannot be read.

    Raises:
        ImageError: If one cannot be read and is not to be skipped.
    """
    pictures = [np.zeros((3, size, size), dtype=np.uint8)] * len(readers)
    errors = [""] * len(readers)
    for place, read in enumerate(readers):
        try:
            if read is not None:
                pictures[place] = read()
        except ImageError as error:
            if on_error == "raise":
                raise
            errors[place] = str(error)
    return pictures, errors


class FaceDataset(WholeBatches[FaceBatch]):
    """Faces of one split."""

    unit: ClassVar[str] = "faces"  # what progress counts

    def __init__(self, source: FaceSource) -> None:
        self.source = source

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.source)

    def read(self, samples: Sequence[SampleIndex]) -> FaceBatch:
        """A batch of faces."""
        index = torch.tensor([sample.index for sample in samples], dtype=torch.int64)
        valid = torch.tensor([sample.valid for sample in samples])
        return self.source.batch(index, valid, samples[0].epoch if samples else 0)
