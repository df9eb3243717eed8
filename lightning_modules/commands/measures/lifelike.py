"""Whether made pictures look like real ones, by one embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def measure_realism(found: Found, described: dict[str, Described], embedder: str, neighbours: int, seed: int) -> None:
    """Add the numbers of one embedder to all sets; ``described`` is by the name of the set."""
    reference = described[found.reference.name]
    real, real_labels = reference.features[embedder], _labels(reference)
    for measured in found.every:
        own = described[measured.name]
        features, labels = own.features[embedder], _labels(own)
        _add_spread(measured, embedder, features, labels, found.classes)
        if measured.pictures.role != "generated":
            continue
        _try(measured, embedder, "kid", lambda f=features: Estimate(*kernel_distance(f, real), len(f)))  # type: ignore[misc]  # the default binds the loop's value
        _try(measured, embedder, "fid", lambda f=features: frechet_distance(f, real, seed))  # type: ignore[misc]  # likewise
        if neighbours:
            covered = precision_recall(features, real, neighbours)
            measured.add("realism", embedder, "precision", covered.precision)
            measured.add("realism", embedder, "recall", covered.recall)
        if labels is not None and real_labels is not None:
            inside = class_kernel_distances(features, labels, real, real_labels)
            if inside.each:
                measured.add("realism", embedder, "class_kid", inside.mean)
            for number, estimate in inside.each.items():
                measured.add("realism", embedder, "class_kid", estimate, found.classes[number])


def measure_pixels(found: Found, described: dict[str, Described]) -> None:
    """Add the spread of blurred pixels to all sets."""
    for measured in found.every:
        own = described[measured.name]
        _add_spread(measured, PIXELS, own.pixels, _labels(own), found.classes)


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


def _try(measured: Measured, embedder: str, name: str, work: Callable[[], Estimate]) -> None:
    """Add a number, or a note where there are too few pictures for it."""
    try:
        measured.add("realism", embedder, name, work())
    except ConfigurationError as error:
        measured.notes.append(f"{measured.name}, {embedder}: no {name.upper()}, since {_lowered(str(error))}")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
