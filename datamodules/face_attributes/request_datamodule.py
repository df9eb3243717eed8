"""The data module of requests: faces that shall be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count as count_from
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex, WholeBatches, only
from datamodules.common.settings import takes
from datamodules.face_attributes.batch import AttributeRequestBatch
from datamodules.face_attributes.request_lists import drawn_requests, image_request, listed_requests, text_request
from datamodules.face_attributes.requests import FaceRequest
from datamodules.face_attributes.settings import AttributeRequestSettings
from datamodules.faces.dataset import read_each
from datamodules.faces.demo import DemoFaces
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema
from datamodules.faces.sources import read_schema
from datamodules.images.unreadable import UnreadableFiles
from datamodules.images.upright import read_picture

_SEEDS = 1 << 63  # of a batch, int64


class AttributeRequestDataModule(LightningDataModule):
    """Faces to make, each an attribute set and a seed; batches follow ``AttributeRequestBatch``.

    Exactly one of ``attributes``, ``from_image`` (which ``attributes`` may change), ``from_list`` and ``requests`` says
    what is wanted.

    Attributes:
        attribute_schema: The schema as plain values.
        image_size: Side in pixels.

    Raises:
        ConfigurationError: If arguments cannot work, an attribute is unknown, or a request contradicts itself.
        LabelError: If a list is malformed.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(AttributeRequestSettings)
    def __init__(self, settings: AttributeRequestSettings) -> None:
        super().__init__()
        self.settings = settings
        self._schema = read_schema(settings.attribute_schema, settings.exclude_attributes or ())
        self._pictures = SourcePictures(settings.image_size, settings.crop_margin)
        self._items = _items(self._requests(), settings.count, settings.seed)
        self._excluded: set[str] = set()
        self._unreadable = UnreadableFiles()
        self.attribute_schema: dict[str, Any] = self._schema.plain()
        self.image_size = settings.image_size

    def _requests(self) -> list[FaceRequest]:
        """What is asked for; the faces of the demo are then the source pictures."""
        own, schema = self.settings, self._schema
        if own.from_image is not None:
            return [image_request(own.from_image, own.attributes, own.box, schema, own.force)]
        if own.from_list is not None:
            return listed_requests(own.from_list, schema, own.force, own.label_format)
        if own.requests is None:
            assert own.attributes is not None  # checked by the settings
            return [text_request(own.attributes, schema, own.force)]
        faces = DemoFaces(own.demo or FaceDemoSettings(), own.request_split, schema, own.image_size)
        found, rows = drawn_requests(faces.table(), own.requests, schema, own.seed, own.ask_for)
        self._pictures = SourcePictures(own.image_size, own.crop_margin, faces, dict(enumerate(rows)))
        return found

    @property
    def schema(self) -> AttributeSchema:
        """The attributes and their heads."""
        return self._schema

    @property
    def attributes(self) -> Tensor:
        """What is asked for, int8 ``(N, K)`` in the order of the batches' ``index``."""
        return torch.stack([item.request.attributes for item in self._items])

    @property
    def names(self) -> list[str]:
        """File name of each face without ending, in the same order."""
        return [item.name for item in self._items]

    def request(self, row: int) -> AttributeRequestBatch:
        """The face whose ``index`` is ``row``, as a batch of its own; not valid where its source cannot be read."""
        return RequestDataset(self._items, self._pictures, [row])[0]

    def exclude(self, names: Iterable[str]) -> None:
        """Skip these faces, and no others, in ``predict``; a resumed run gives those that its folder already holds."""
        self._excluded = set(names)

    def on_before_batch_transfer(self, batch: AttributeRequestBatch, dataloader_idx: int) -> AttributeRequestBatch:
        """Name each source that could not be read, once."""
        self._unreadable.name(batch.get("error", []))
        return batch

    def predict_dataloader(self) -> DataLoader[AttributeRequestBatch]:
        """The requests in their order, without the excluded ones."""
        rows = [row for row, item in enumerate(self._items) if item.name not in self._excluded]
        return DataLoader(
            RequestDataset(self._items, self._pictures, rows),
            batch_size=self.settings.batch_size,
            sampler=PaddedDistributedSampler(len(rows)),
            collate_fn=only,
        )


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One face to make: its request and the row of that, its seed, and a file name without ending that is unique."""

    request: FaceRequest
    place: int
    seed: int
    name: str


class SourcePictures:
    """The faces that requests come from.

    Args:
        image_size: Side S in pixels.
        crop_margin: What is added to each side of a box.
        faces: Faces of the demo; None where the sources are files.
        rows: Row in ``faces`` by the place of a request.
    """

    def __init__(
        self, image_size: int, crop_margin: float, faces: DemoFaces | None = None, rows: dict[int, int] | None = None
    ) -> None:
        self._size = image_size
        self._margin = crop_margin
        self._faces = faces
        self._rows = rows or {}

    def read(self, items: Sequence[RequestItem]) -> tuple[Tensor, list[str]]:
        """One picture an item, uint8 ``(B, 3, S, S)``, black where there is none, and why one could not be read."""
        if self._faces is not None:
            rows = torch.tensor([self._rows[item.place] for item in items])
            found = self._faces.batch(rows, torch.ones(len(rows), dtype=torch.bool), 0)["image"]
            return found, [""] * len(items)
        readers = [partial(self._picture, item.request) if item.request.source else None for item in items]
        pictures, errors = read_each(readers, self._size, "skip")
        return torch.from_numpy(np.stack(pictures)), errors

    def _picture(self, request: FaceRequest) -> NDArray[np.uint8]:
        image = read_picture(request.source)
        return cut_face(image, square_of(request.box, image.size, self._margin), self._size)


class RequestDataset(WholeBatches[AttributeRequestBatch]):
    """Requests: those of the items that stand in ``rows``; a batch's ``index`` counts all items."""

    def __init__(self, items: Sequence[RequestItem], pictures: SourcePictures, rows: Sequence[int]) -> None:
        self._items = items
        self._pictures = pictures
        self._rows = rows

    def __len__(self) -> int:
        """Number of faces to make."""
        return len(self._rows)

    def read(self, samples: Sequence[SampleIndex]) -> AttributeRequestBatch:
        """A batch of faces to make."""
        rows = [self._rows[sample.index] for sample in samples]
        items = [self._items[row] for row in rows]
        batch = AttributeRequestBatch(
            attributes=torch.stack([item.request.attributes for item in items]),
            seed=torch.tensor([item.seed for item in items], dtype=torch.int64),
            index=torch.tensor(rows, dtype=torch.int64),
            valid=torch.tensor([sample.valid for sample in samples]),
            name=[item.name for item in items],
            source=[item.request.source for item in items],
            labelled=torch.tensor([item.request.labelled for item in items]),
        )
        if any(batch["source"]):
            batch["image"], errors = self._pictures.read(items)
            if any(errors):
                batch["error"] = errors
                batch["valid"] = batch["valid"] & torch.tensor([not error for error in errors])
        return batch


def _items(requests: Sequence[FaceRequest], count: int, seed: int) -> list[RequestItem]:
    """Each request as many times as wanted, with names that no two share."""
    # Names that the requests bring are taken before any is numbered: "a", "a", "a_2" must stay three.
    taken = {request.name for request in requests}
    numbers: dict[str, Iterator[int]] = {}
    items = []
    for place, request in enumerate(requests):
        name = request.name
        if name in numbers:
            name = next(own for number in numbers[name] if (own := f"{request.name}_{number}") not in taken)
            taken.add(name)
        else:
            numbers[name] = count_from(2)
        first = seed if request.seed is None else request.seed
        if not -_SEEDS <= first <= _SEEDS - count:
            raise ConfigurationError(
                f"the seed of {request.name} is {first}; it must be a whole number of 64 bits, {-_SEEDS} to "
                f"{_SEEDS - count} for {count} faces: choose a smaller one"
            )
        items += [RequestItem(request, place, first + turn, f"{name}_seed{first + turn}") for turn in range(count)]
    return items
