"""Whether made pictures are copies of training pictures, by one embedder."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_modules.commands.measures.embedding import Described
from lightning_modules.commands.measures.results import Found, Measured, Pairs
from lightning_modules.nn.estimate import Estimate, bootstrapped, difference, wilson
from lightning_modules.nn.realism.alike import MostAlike, most_alike

SIMILAR = 0.5  # similarity above which somepago/DCR counts a picture as alike
STRANGERS = 0.01  # share of pictures that are no copies and lie above the threshold all the same
ENOUGH = 5000  # held-out pictures that a threshold at that share should rest on
_QUANTILES = {"similarity_p75": 0.75, "similarity_p90": 0.9, "similarity_p95": 0.95}


def measure_copies(found: Found, described: dict[str, Described], embedder: str, seed: int) -> None:
    """Add the numbers of one embedder to all sets; ``described`` is by the name of the set."""
    training = described[found.training.name].views[embedder]
    own = training[:, : _views_of(found, described, embedder)]
    background = most_alike(own, training, leave_out_own=True)
    strangers = background
    if found.held_out is not None:
        strangers = most_alike(described[found.held_out.name].views[embedder], training)
        _add(found.held_out, described[found.held_out.name], embedder, strangers, seed)
    _add(found.training, described[found.training.name], embedder, background, seed)
    above = threshold_of(strangers.similarity)
    for measured in (one for one in (found.training, found.held_out) if one is not None):
        measured.add("copies", embedder, "threshold", above)
    for measured in found.generated:
        alike = most_alike(described[measured.name].views[embedder], training)
        _add(measured, described[measured.name], embedder, alike, seed)
        over, usual = alike.similarity > above.value, strangers.similarity > above.value
        rate = difference(
            wilson(int(over.sum()), len(over)),
            wilson(int(usual.sum()), len(usual)),
        )
        measured.add("copies", embedder, "copies", rate)
        measured.add("copies", embedder, "threshold", above)
        rows = described[measured.name].rows
        places = described[found.training.name].rows
        nearest = [places[row] for row in alike.row.tolist()]
        measured.pairs[embedder] = Pairs(alike.similarity, rows, nearest, over.tolist())


def threshold_of(similarity: Tensor) -> Estimate:
    """The similarity that 1 % of strangers exceed, with the interval of that quantile.

    Example:
        >>> threshold_of(torch.arange(1000.0)).value.__round__(2)
        989.01
    """
    return bootstrapped(similarity, lambda rows: rows.quantile(1 - STRANGERS, dim=1), seed=0)


def _views_of(found: Found, described: dict[str, Described], embedder: str) -> int:
    """Views of a picture that is not mirrored."""
    return described[found.generated[0].name].views[embedder].shape[1]


def _add(measured: Measured, described: Described, embedder: str, alike: MostAlike, seed: int) -> None:
    similarity = alike.similarity
    number = len(similarity)
    add = measured.add
    add("copies", embedder, "similarity_mean", bootstrapped(similarity, lambda rows: rows.mean(dim=1), seed))
    deviation = bootstrapped(similarity, lambda rows: rows.std(dim=1), seed) if number > 1 else _NONE
    add("copies", embedder, "similarity_sd", deviation)
    for name, share in _QUANTILES.items():
        add("copies", embedder, name, bootstrapped(similarity, lambda rows, q=share: rows.quantile(q, dim=1), seed))  # type: ignore[misc]  # the default binds the loop's value
    add("copies", embedder, "similarity_max", Estimate(similarity.max().item(), math.nan, math.nan, number))
    add("copies", embedder, "similar", wilson(int((similarity > SIMILAR).sum()), number))
    near = alike.is_near_copy()
    if bool(torch.isfinite(alike.second).all()):
        add("copies", embedder, "near_copies", wilson(int(near.sum()), number))
    measured.pairs[embedder] = Pairs(similarity, described.rows, alike.row.tolist(), [False] * number)


_NONE = Estimate(math.nan, math.nan, math.nan, 1)
