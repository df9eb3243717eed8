"""Whether made pictures are copies of training pictures, by one embedder."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lightning_modules.commands.measures.embedding import Described
from lightning_modules.commands.measures.results import Found, Measured, Pairs
from lightning_modules.nn.estimate import Estimate, bootstrapped, difference, wilson
from lightning_modules.nn.realism.alike import MostAlike, most_alike

SIMILAR = 0.5  # similarity above which somepago/DCR counts a picture as alike
STRANGERS = 0.01  # share of pictures that are no copies and lie above the threshold all the same
ENOUGH = 5000  # held-out pictures that a threshold at that share should rest on


def measure_copies(found: Found, described: dict[str, Described], embedder: str, seed: int) -> None:
    """Add the numbers of one embedder to all sets; ``described`` is by the name of the set."""
    whole = described[found.training.name]
    training = whole.views[embedder]
    # mirrored views are searched, and nobody's own
    own = training[:, : described[found.generated[0].name].views[embedder].shape[1]]
    alike = {found.training.name: most_alike(own, training, leave_out_own=True)}
    for measured in (one for one in found.every if one is not found.training):
        alike[measured.name] = most_alike(described[measured.name].views[embedder], training)
    strangers = alike[found.reference.name].similarity
    threshold = threshold_of(strangers)
    usual = strangers > threshold.value
    for measured in found.every:
        known = alike[measured.name]
        over = known.similarity > threshold.value
        nearest = [whole.rows[row] for row in known.row.tolist()]
        measured.pairs[embedder] = Pairs(known.similarity, described[measured.name].rows, nearest, over.tolist())
        if measured.pictures.role == "generated":
            own_rate, usual_rate = wilson(int(over.sum()), len(over)), wilson(int(usual.sum()), len(usual))
            measured.add("copies", embedder, "copies", difference(own_rate, usual_rate))
        _add(measured, embedder, known, seed)
        measured.add("copies", embedder, "threshold", threshold)


def threshold_of(similarity: Tensor) -> Estimate:
    """The similarity that no more than 1 % of strangers exceed, with the interval of that quantile.

    Example:
        >>> threshold_of(torch.arange(1000.0)).value, threshold_of(torch.arange(20.0)).value
        (990.0, 19.0)
    """
    return bootstrapped(similarity, lambda rows: rows.quantile(1 - STRANGERS, dim=1, interpolation="higher"), seed=0)


def _add(measured: Measured, embedder: str, alike: MostAlike, seed: int) -> None:
    similarity = alike.similarity
    number = len(similarity)
    statistics: dict[str, Callable[[Tensor], Tensor]] = {
        "similarity_mean": lambda rows: rows.mean(dim=1),
        "similarity_sd": lambda rows: rows.std(dim=1) if rows.shape[1] > 1 else torch.full((len(rows),), torch.nan),
        "similarity_p75": lambda rows: rows.quantile(0.75, dim=1),
        "similarity_p90": lambda rows: rows.quantile(0.9, dim=1),
        "similarity_p95": lambda rows: rows.quantile(0.95, dim=1),
    }
    for name, statistic in statistics.items():
        measured.add("copies", embedder, name, bootstrapped(similarity, statistic, seed))
    largest = Estimate(similarity.max().item(), math.nan, math.nan, number)
    measured.add("copies", embedder, "similarity_max", largest)
    measured.add("copies", embedder, "similar", wilson(int((similarity > SIMILAR).sum()), number))
    if bool(torch.isfinite(alike.second).all()):
        measured.add("copies", embedder, "near_copies", wilson(int(alike.is_near_copy().sum()), number))
