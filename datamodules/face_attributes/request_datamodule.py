"""The data module of requests: faces that shall be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from datamodules.face_attributes.batch import AttributeRequestBatch
from datamodules.face_attributes.datamodule import read_schema
from datamodules.face_attributes.demo_faces import DemoFaces
from datamodules.face_attributes.request_lists import (
    ListFormat,
    drawn_requests,
    image_request,
    listed_requests,
    text_request,
)
from datamodules.face_attributes.requests import FaceRequest
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.faces.lists.records import SplitName
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema
from datamodules.images.upright import read_picture

_SEEDS = 1 << 63  # of a batch, int64


class AttributeRequestDataModule(LightningDataModule):
    """Faces to make, each an attribute set and a seed; batches follow ``AttributeRequestBatch``.

    Exactly one of ``attributes``, ``from_image`` (which ``attributes`` may change), ``from_list`` and ``requests`` says
    what is wanted.

    Args:
        attributes: What is asked for: "Smiling, Eyeglasses, no Bangs", or one an entry. An attribute of a group of
            which a face has only one denies the others.
        count: Faces of each request, with the seeds ``seed``, ``seed + 1``, ...
        seed: Seed of the first.
        from_image: A picture whose attributes the classifier says; the result is laid beside it.
        box: Left, top, right and bottom of the face in that picture; None takes the square in its middle.
        from_list: A csv ``attributes[,name][,seed][,file]``, or one of faces with a column for each attribute.
        label_format: What such a list of faces is; "auto" looks.
        requests: Number of label sets drawn from faces of the demo; those faces are the source pictures.
        request_split: Split of the demo that they are drawn from.
        ask_for: Ask only for so many attributes that such a face shows; None asks for its full labels.
        force: Try requests that contradict themselves, with a warning.
        attribute_schema: The attributes: a YAML file, "pubfig", "celeba", or the same as a mapping; the checkpoint's in
            ``predict``.
        exclude_attributes: Attributes to leave out.
        image_size: Side in pixels of the source pictures.
        crop_margin: What is added to each side of a box, as a share of its longer side.
        batch_size: Faces of a batch; they are made together.
        demo: What the generated demo holds; None takes its defaults.

    Attributes:
        attribute_schema: The schema as plain values.
        image_size: Side in pixels.

    Raises:
        ConfigurationError: If arguments cannot work, an attribute is unknown, or a request contradicts itself.
        LabelError: If a list is malformed.
    """

    def __init__(
        self,
        attributes: str | list[str] | None = None,
        count: int = 1,
        seed: int = 0,
        from_image: str | None = None,
        box: tuple[float, float, float, float] | None = None,
        from_list: str | None = None,
        label_format: ListFormat = "auto",
        requests: int | None = None,
        request_split: SplitName = "test",
        ask_for: int | None = None,
        force: bool = False,
        attribute_schema: dict[str, Any] | str | None = None,
        exclude_attributes: list[str] | None = None,
        image_size: int = 224,
        crop_margin: float = 0.25,
        batch_size: int = 16,
        demo: FaceDemoSettings | None = None,
    ) -> None:
        super().__init__()
        _check(attributes, from_image, from_list, requests)
        _check_numbers(count=count, batch_size=batch_size, requests=requests, ask_for=ask_for, image_size=image_size)
        self._schema = read_schema(attribute_schema, tuple(exclude_attributes or ()))
        self._batch_size = batch_size
        pictures = SourcePictures(image_size, crop_margin)
        if from_image is not None:
            found = [image_request(from_image, attributes, box, self._schema, force)]
        elif from_list is not None:
            found = listed_requests(from_list, self._schema, force, label_format)
        elif requests is not None:
            faces = DemoFaces(demo or FaceDemoSettings(), request_split, self._schema, image_size)
            found, rows = drawn_requests(faces.table(), requests, self._schema, seed, ask_for)
            pictures = SourcePictures(image_size, crop_margin, faces, dict(enumerate(rows)))
        else:
            assert attributes is not None  # checked above
            found = [text_request(attributes, self._schema, force)]
        self._items = _items(found, count, seed)
        self._pictures = pictures
        self._excluded: set[str] = set()
        self.attribute_schema: dict[str, Any] = self._schema.plain()
        self.image_size = image_size

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
        """One face to make, as a batch of its own.

        Args:
            row: Its ``index``.

        Raises:
            ImageError: If its source cannot be read.
        """
        return RequestDataset(self._items, self._pictures, [row])[0]

    def exclude(self, names: Iterable[str]) -> None:
        """Skip these faces, and no others, in ``predict``; a resumed run gives those that its folder already holds."""
        self._excluded = set(names)

    def predict_dataloader(self) -> DataLoader[AttributeRequestBatch]:
        """The requests in their order, without the excluded ones."""
        rows = [row for row, item in enumerate(self._items) if item.name not in self._excluded]
        return DataLoader(
            RequestDataset(self._items, self._pictures, rows),
            batch_size=self._batch_size,
            sampler=PaddedDistributedSampler(len(rows)),
            collate_fn=_whole,
        )


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One face to make.

    Attributes:
        request: What is asked for.
        place: Row of the request in its list.
        seed: Seed of the face.
        name: File name without ending, unique in the run.
    """

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

    def read(self, items: Sequence[RequestItem]) -> Tensor:
        """One picture an item, uint8 ``(B, 3, S, S)``; black where there is none.

        Raises:
            ImageError: If a file cannot be read.
        """
        if self._faces is not None:
            rows = torch.tensor([self._rows[item.place] for item in items])
            return self._faces.batch(rows, torch.ones(len(rows), dtype=torch.bool), 0)["image"]
        return torch.from_numpy(np.stack([self._picture(item.request) for item in items]))

    def _picture(self, request: FaceRequest) -> NDArray[np.uint8]:
        if not request.source:
            return np.zeros((3, self._size, self._size), dtype=np.uint8)
        image = read_picture(request.source)
        return cut_face(image, square_of(request.box, image.size, self._margin), self._size)


class RequestDataset(Dataset[AttributeRequestBatch]):
    """Requests as whole batches.

    Args:
        items: Faces.
        pictures: Gives the faces that they come from.
        rows: Those of the items that shall be made; a batch's ``index`` counts all items.
    """

    def __init__(self, items: Sequence[RequestItem], pictures: SourcePictures, rows: Sequence[int]) -> None:
        self._items = items
        self._pictures = pictures
        self._rows = rows

    def __len__(self) -> int:
        """Number of faces to make."""
        return len(self._rows)

    def __getitem__(self, sample: SampleIndex | int) -> AttributeRequestBatch:
        """A batch of one."""
        return self.__getitems__([sample])[0]

    def __getitems__(self, samples: Sequence[SampleIndex | int]) -> list[AttributeRequestBatch]:
        """One whole batch, alone in a list."""
        drawn = [SampleIndex(sample) if isinstance(sample, int) else sample for sample in samples]
        rows = [self._rows[sample.index] for sample in drawn]
        items = [self._items[row] for row in rows]
        batch = AttributeRequestBatch(
            attributes=torch.stack([item.request.attributes for item in items]),
            seed=torch.tensor([item.seed for item in items], dtype=torch.int64),
            index=torch.tensor(rows, dtype=torch.int64),
            valid=torch.tensor([sample.valid for sample in drawn]),
            name=[item.name for item in items],
            source=[item.request.source for item in items],
            labelled=torch.tensor([item.request.labelled for item in items]),
        )
        if any(batch["source"]):
            batch["image"] = self._pictures.read(items)
        return [batch]


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


def _check(
    attributes: str | list[str] | None, from_image: str | None, from_list: str | None, requests: int | None
) -> None:
    given = {"from_image": from_image, "from_list": from_list, "requests": requests}
    named = [name for name, value in given.items() if value is not None]
    named += ["attributes"] if attributes is not None and "from_image" not in named else []
    if len(named) != 1:
        raise ConfigurationError(
            f"what is asked for is named {'by ' + ' and '.join(named) if named else 'nowhere'}; give one of attributes "
            '("Smiling, Eyeglasses"), from_image (which attributes may change), from_list and requests'
        )


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} is {value}; it must be at least 1")


def _whole(batches: list[AttributeRequestBatch]) -> AttributeRequestBatch:
    """Collate: the dataset gives whole batches."""
    return batches[0]
