"""Whether made pictures look like real ones, by one embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.commands.measures.embedding import Described
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.nn.estimate import Estimate
from lightning_modules.nn.realism.distance import kernel_distance
from lightning_modules.nn.realism.frechet import frechet_distance
from lightning_modules.nn.realism.manifold import precision_recall
from lightning_modules.nn.realism.spread import pairwise_distance
from lightning_modules.nn.realism.within import class_kernel_distances, class_spreads
from lightning_modules.nn.shares import labels_of

PIXELS = "pixels"


def drawn(described: dict[str, Described], most: int, seed: int) -> dict[str, Described]:
    """At most so many pictures of each set, drawn by chance."""
    return {name: one if len(one) <= most else _some(one, most, seed) for name, one in described.items()}


def measure_realism(found: Found, described: dict[str, Described], embedder: str, neighbours: int, seed: int) -> None:
    """Add the numbers of one embedder to all sets; ``described`` is by the name of the set."""
    reference = described[found.reference.name]
    for measured in found.every:
        own = described[measured.name]
        _add_spread(measured, embedder, own.features[embedder], _labels(own), found.classes)
        if measured.pictures.role == "generated":
            _add_distances(measured, own.features[embedder], reference.features[embedder], embedder, neighbours, seed)
            _add_inside(measured, own, reference, embedder, found.classes)


def measure_pixels(found: Found, described: dict[str, Described]) -> None:
    """Add the spread of blurred pixels to all sets."""
    for measured in found.every:
        own = described[measured.name]
        _add_spread(measured, PIXELS, own.pixels, _labels(own), found.classes)


def _add_distances(
    measured: Measured, features: Tensor, real: Tensor, embedder: str, neighbours: int, seed: int
) -> None:
    _try(measured, embedder, "kid", lambda: Estimate(*kernel_distance(features, real), len(features)))
    _try(measured, embedder, "fid", lambda: frechet_distance(features, real, seed))
    if neighbours:
        covered = precision_recall(features, real, neighbours)
        measured.add("realism", embedder, "precision", covered.precision)
        measured.add("realism", embedder, "recall", covered.recall)


def _add_inside(
    measured: Measured, own: Described, reference: Described, embedder: str, classes: Sequence[str]
) -> None:
    labels, real_labels = _labels(own), _labels(reference)
    if labels is None or real_labels is None:
        return
    inside = class_kernel_distances(own.features[embedder], labels, reference.features[embedder], real_labels)
    if inside.each:
        measured.add("realism", embedder, "class_kid", inside.mean)
    for number, estimate in inside.each.items():
        measured.add("realism", embedder, "class_kid", estimate, classes[number])


def _add_spread(measured: Measured, by: str, features: Tensor, labels: Tensor | None, classes: Sequence[str]) -> None:
    name = "pixel_spread" if by == PIXELS else "spread"
    if labels is None or int((labels >= 0).sum()) < 2:
        if len(features) > 1:
            measured.add("realism", by, name, pairwise_distance(features))
        return
    inside = class_spreads(features, labels)
    if inside.each:
        measured.add("realism", by, name, inside.mean)
    for number, estimate in inside.each.items():
        measured.add("realism", by, name, estimate, classes[number])


def _labels(described: Described) -> Tensor | None:
    return None if described.shown is None else labels_of(described.shown)


def _some(described: Described, most: int, seed: int) -> Described:
    rows = torch.randperm(len(described), generator=torch.Generator().manual_seed(seed))[:most].sort().values
    return replace(
        described,
        rows=[described.rows[row] for row in rows.tolist()],
        features={name: one[rows] for name, one in described.features.items()},
        views={},
        pixels=described.pixels[rows],
        shown=None if described.shown is None else described.shown[rows],
        judged=None,
        crossed=None,
    )


def _try(measured: Measured, embedder: str, name: str, work: Callable[[], Estimate]) -> None:
    """Add a number, or a note where there are too few pictures for it."""
    try:
        measured.add("realism", embedder, name, work())
    except ConfigurationError as error:
        measured.notes.append(f"{measured.name}, {embedder}: no {name.upper()}, since {_lowered(str(error))}")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
