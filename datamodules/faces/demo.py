"""The generated faces of one split as a source of batches: drawn when they are asked for, never stored."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.faces.batch import FaceBatch
from datamodules.faces.lists.records import LabelTable, SplitName
from datamodules.faces.lists.settings import Trained
from datamodules.faces.renderer.drawing import draw_parameters, person_names
from datamodules.faces.renderer.labels import labels
from datamodules.faces.renderer.parameters import FaceParameters
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import SMALLEST_SIDE, FaceDemoSettings
from datamodules.faces.schema import AttributeSchema

SMALLEST = 8  # pixels of a side: below it a face shows nothing
_CHUNK = 4096  # faces whose parameters are drawn at once for a table
_JUDGES = 7919  # other people: far from the seeds that anybody chooses


class DemoFaces:
    """Faces of the renderer.

    Args:
        settings: What the demo holds.
        split: Which of its splits.
        schema: The attributes; those that the renderer does not draw are missing.
        image_size: Side S in pixels.
        fit_on: "judge" draws the training faces of other people, whom no network that is judged sees.
    """

    def __init__(
        self,
        settings: FaceDemoSettings,
        split: SplitName,
        schema: AttributeSchema,
        image_size: int,
        fit_on: Trained = "train",
    ) -> None:
        self.settings = settings
        self.split = split
        self._schema = schema
        self._size = image_size
        self._fit_on: Trained = fit_on
        self._seed = settings.seed + (_JUDGES if fit_on == "judge" and split == "train" else 0)

    def __len__(self) -> int:
        """Number of faces."""
        return self.settings.count(self.split)

    def batch(self, index: Tensor, valid: Tensor, epoch: int) -> FaceBatch:
        """Draw some faces; with ``fresh`` the training faces are others each epoch."""
        epoch = epoch if self.settings.fresh and self.split == "train" else 0
        drawn = self._drawn(index, epoch)
        return FaceBatch(
            image=drawn_small(drawn, self._size),
            attributes=labels(drawn, self._schema),
            index=index,
            valid=valid,
            file=[self._name(row, epoch) for row in index.tolist()],
            identity=self._people(index, epoch),
        )

    def table(self) -> LabelTable:
        """Labels of all faces of the first epoch."""
        rows = torch.arange(len(self))
        known = [labels(self._drawn(chunk, 0), self._schema) for chunk in torch.split(rows, _CHUNK)]
        names = [self._name(row, 0) for row in rows.tolist()]
        return LabelTable(torch.cat(known), names, self._people(rows, 0))

    def still(self) -> DemoFaces:
        """The same faces, those of the first epoch in every epoch."""
        settings = replace(self.settings, fresh=False)
        return DemoFaces(settings, self.split, self._schema, self._size, self._fit_on)

    def parameters(self) -> FaceParameters:
        """What the faces of the first epoch are drawn from."""
        return self._drawn(torch.arange(len(self)), 0)

    def _drawn(self, rows: Tensor, epoch: int) -> FaceParameters:
        return draw_parameters(self._seed, self.split, rows, epoch, self.settings)

    def _name(self, row: int, epoch: int) -> str:
        return f"demo/seed{self._seed}/{self.split}/epoch{epoch}/{row:06d}"

    def _people(self, rows: Tensor, epoch: int) -> list[str]:
        people = person_names(self.split, rows, self.settings)
        return [f"{person}-epoch{epoch}" for person in people] if epoch else people


def drawn_small(parameters: FaceParameters, size: int) -> Tensor:
    """Faces of any side S up to the renderer's largest, uint8 ``(B, 3, S, S)``; small ones are means of larger ones."""
    times = -(-SMALLEST_SIDE // size)
    if times == 1:
        return render(parameters, size)
    return functional.avg_pool2d(render(parameters, size * times).float(), times).round().to(torch.uint8)
