"""Requests that real faces make, and the real faces that made ones are measured against."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError, ImageError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.face_attributes.requests import complete
from datamodules.faces.dataset import ListedFaces
from datamodules.faces.lists.records import SplitName
from datamodules.faces.schema import MISSING, PRESENT, AttributeSchema
from lightning_modules.face_attributes.judging.short_requests import expected_absent, short_requests

log = logging.getLogger("appraise")

Kind = Literal["full", "short"]
KINDS: tuple[Kind, ...] = ("full", "short")
_BATCH = 256
_FEWEST = 20  # faces of any set
_ORDER_SEED = 104_729  # keeps the choice of rows apart from other draws of the same seed


@dataclass(frozen=True)
class RequestSet:
    """N requests, each from a real face.

    Attributes:
        kind: ``full`` label sets, or ``short`` requests of a few attributes.
        attributes: What the generator is asked for, int8 ``(N, K)``; where a group knows only
            one, the others are denied.
        asked: What counts as asked for, int8 ``(N, K)``.
        absent: What a face of the request should not show, bool ``(N, K)``; of full requests nothing but ``asked``.
        seeds: Seed of each face, int64 ``(N,)``.
        sources: The real faces, uint8 ``(N, 3, S, S)``.
    """

    kind: Kind
    attributes: Tensor
    asked: Tensor
    absent: Tensor
    seeds: Tensor
    sources: Tensor


@dataclass(frozen=True)
class RealFaces:
    """Real faces to compare with.

    Attributes:
        tested: Unseen faces of people who make no request, uint8 ``(M, 3, S, S)``: judges are tested on them.
        labels: Their labels, int8 ``(M, K)``.
        reference: Training faces, uint8 ``(R, 3, S, S)``.
        training_labels: Labels of all training faces, int8 ``(T, K)``.
        kept: Training faces that the generator holds as they are and could repeat, uint8 ``(n, 3, T, T)``.
    """

    tested: Tensor
    labels: Tensor
    reference: Tensor
    training_labels: Tensor
    kept: Tensor


def real_faces(data: FaceAttributeDataModule, number: int, seed: int, kept: Tensor | None = None) -> RealFaces:
    """Take real faces of the test and training splits, so many of each at most.

    Of the test split they are at most half, since the people of the other half make requests; ``kept`` are training
    faces that the generator holds, uint8 ``(n, 3, T, T)``.

    Raises:
        ConfigurationError: If there are too few.
    """
    labels = data.label_table("train").attributes
    test = data.label_table("test").attributes
    rows, _ = _divided(data.people("test"), number, seed)
    reference = _order(len(labels), seed)[:number]
    if min(len(rows), len(reference)) < _FEWEST:
        raise ConfigurationError(
            f"There are {len(rows)} test faces without a request and {len(reference)} training faces to compare with, "
            f"but {_FEWEST} of each are needed: give more faces, or a larger --reference."
        )
    tested, read = readable_images(data, "test", rows)
    return RealFaces(
        tested,
        test[rows[read]],
        images_of(data, "train", reference),
        labels,
        torch.zeros(0, 3, 1, 1, dtype=torch.uint8) if kept is None else kept,
    )


def draw_requests(
    data: FaceAttributeDataModule, split: SplitName, kind: Kind, number: int, asked: int, reserved: int, seed: int
) -> RequestSet:
    """Draw so many requests at most from the faces of a split: ``val`` to choose a mode with, ``test`` to report it.

    Args:
        data: The faces.
        split: Whose faces make requests.
        kind: Full or short.
        number: Requests, at most.
        asked: Attributes of a short request.
        reserved: Faces of the test split that make no requests, nor other faces of their people.
        seed: Of the choice, and of the faces' own noise.

    Raises:
        ConfigurationError: If the faces make fewer than two.
    """
    schema = AttributeSchema.from_plain(data.attribute_schema)
    training = data.label_table("train").attributes
    labels = data.label_table(split).attributes
    order = _divided(data.people("test"), reserved, seed)[1] if split == "test" else _order(len(labels), seed)
    pool = labels[order]
    if kind == "full":
        rows = torch.nonzero((pool != MISSING).any(dim=1)).flatten()[:number]
        wanted = pool[rows]
    else:
        usable = ((training == PRESENT).any(dim=0)) & ((training == 0).any(dim=0))
        short = short_requests(pool, usable, seed, asked)
        rows, wanted = short.rows[:number], short.attributes[:number]
    if len(rows) < 2:
        raise ConfigurationError(
            f"The {len(pool)} faces of the split {split} make {len(rows)} {kind} requests, but two are needed: give "
            "more labelled faces, or a smaller --asked."
        )
    if len(rows) < number:
        log.info("the split %s makes %d %s requests of the %d asked for", split, len(rows), kind, number)
    sources, read = readable_images(data, split, order[rows])
    rows, wanted = rows[read], wanted[read]
    absent = expected_absent(wanted, training) if kind == "short" else torch.zeros_like(wanted, dtype=torch.bool)
    completed = torch.stack([complete(request, schema) for request in wanted])
    seeds = seed * 1_000_003 + torch.arange(len(rows))
    return RequestSet(kind, completed, wanted, absent, seeds, sources)


def images_of(data: FaceAttributeDataModule, split: SplitName, rows: Tensor) -> Tensor:
    """Pictures of those of some faces that can be read, uint8 ``(N, 3, S, S)``, see `readable_images`."""
    return readable_images(data, split, rows)[0]


def readable_images(data: FaceAttributeDataModule, split: SplitName, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures of those of some faces that can be read, uint8 ``(N, 3, S, S)``, and which these are; others are named.

    Raises:
        ImageError: If not one can be read.
    """
    faces = data.faces(split)
    if isinstance(faces, ListedFaces):
        faces = ListedFaces(faces.faces, data.image_size, data.settings.crop_margin, "skip")
    batches = [faces.batch(part, torch.ones(len(part), dtype=torch.bool), 0) for part in torch.split(rows, _BATCH)]
    errors = [error for batch in batches for error in batch.get("error", []) if error]
    for error in errors:
        log.warning("warning: skipped: %s", error)
    if len(errors) == len(rows):
        raise ImageError(f"not one of the {len(rows)} pictures of the split {split} could be read")
    read = torch.cat([batch["valid"] for batch in batches])
    return torch.cat([batch["image"] for batch in batches])[read], read


def _divided(people: Sequence[str], number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of the faces that judges are tested on, at most half, and of those that make requests; nobody is in both."""
    order = _order(len(people), seed).tolist()
    own: dict[str, list[int]] = {}
    for row in order:
        own.setdefault(people[row], []).append(row)
    tested: set[int] = set()
    for rows in own.values():
        if len(tested) + len(rows) <= min(number, len(people) // 2):
            tested.update(rows)
    parts = ([row for row in order if row in tested], [row for row in order if row not in tested])
    return torch.tensor(parts[0], dtype=torch.int64), torch.tensor(parts[1], dtype=torch.int64)


def _order(total: int, seed: int) -> Tensor:
    return torch.randperm(total, generator=torch.Generator().manual_seed(seed + _ORDER_SEED))
