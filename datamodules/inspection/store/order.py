"""In which order questions are asked: the paper's, by uncertainty, by diversity, or by chance."""

from __future__ import annotations

import random
import sqlite3
from typing import Literal, get_args

from datamodules.common.errors import StoreError

Order = Literal["any", "margin", "entropy", "mc_dropout", "k_centre", "random", "class"]
ORDERS: tuple[Order, ...] = get_args(Order)

CENTRES = 1000  # k-centre looks for at most as many; the rest follows by distance to them

_PLACE_OF_CLASS = (
    "(SELECT place.id FROM run, json_each(run.thresholds_json) AS place"
    " WHERE run.id = detection.run_id AND place.key = detection.class)"
)
_SORTED = {
    "any": "image_id, score DESC, id",  # the paper: every detection, image by image
    "margin": "abs(margin), id",
    "entropy": "entropy DESC, id",
    "mc_dropout": "mc_dropout DESC, id",
    "k_centre": "id",
    "random": "id",
    "class": f"{_PLACE_OF_CLASS}, score DESC, id",  # one kind of defect after the other, best score first
}
_COLUMN = {"margin": "margin", "entropy": "entropy", "mc_dropout": "mc_dropout", "k_centre": "embedding"}
_REMEDY = {
    "mc_dropout": "mine into a new store with --model.init_args.mc_samples 8",
    "k_centre": "mine into a new store with --model.init_args.embeddings true",
}


def ranked(connection: sqlite3.Connection, run_id: int, order: Order, seed: int = 0) -> list[int]:
    """Rows of the model's detections of a run, the first question first.

    Args:
        connection: An open store.
        run_id: Run.
        order: ``any``: image by image, best score first (the paper); ``margin``: score nearest to the threshold;
            ``entropy`` and ``mc_dropout``: most uncertain; ``k_centre``: each one far from all before it in the space
            of embeddings (Sener and Savarese 2018); ``random``: control; ``class``: one class after the other, so that
            one kind of defect is judged at a stretch.
        seed: Of ``random``, and of the first centre.

    Raises:
        StoreError: If the order is unknown, or needs a value that the run did not store.
    """
    if order not in ORDERS:
        raise StoreError(f'there is no order "{order}": choose one of {", ".join(ORDERS)}')
    rows = connection.execute(
        f"SELECT id FROM detection WHERE run_id = ? AND origin = 'model' ORDER BY {_SORTED[order]}", (run_id,)
    )
    ids = [int(row[0]) for row in rows]
    if ids and order in _COLUMN:
        _require(connection, run_id, order)
    if order == "random":
        random.Random(seed).shuffle(ids)
    if order == "k_centre" and ids:
        return [ids[place] for place in _far_apart(_embeddings(connection, run_id), seed)]
    return ids


def possible_orders(connection: sqlite3.Connection, run_id: int) -> list[Order]:
    """Orders whose values every detection of a run has."""
    return [one for one in ORDERS if one not in _COLUMN or not _lacking(connection, run_id, _COLUMN[one])]


def _require(connection: sqlite3.Connection, run_id: int, order: str) -> None:
    column = _COLUMN[order]
    lacking = _lacking(connection, run_id, column)
    if lacking:
        remedy = _REMEDY.get(order, "take another order")
        raise StoreError(f"order {order} needs {column}, but {lacking} detections of run {run_id} have none: {remedy}")


def _lacking(connection: sqlite3.Connection, run_id: int, column: str) -> int:
    query = f"SELECT count(*) FROM detection WHERE run_id = ? AND origin = 'model' AND {column} IS NULL"
    return int(connection.execute(query, (run_id,)).fetchone()[0])


def _embeddings(connection: sqlite3.Connection, run_id: int) -> list[bytes]:
    rows = connection.execute(
        "SELECT embedding FROM detection WHERE run_id = ? AND origin = 'model' ORDER BY id", (run_id,)
    )
    return [row[0] for row in rows]


def _far_apart(embeddings: list[bytes], seed: int) -> list[int]:
    """Places of ``embeddings`` (float16 each): greedy farthest-first, then the rest by distance, farthest first."""
    import numpy as np  # only this order needs it, and the page starts sooner without

    points = np.stack([np.frombuffer(one, dtype=np.float16) for one in embeddings]).astype(np.float32)
    place = random.Random(seed).randrange(len(points))
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    chosen: list[int] = []
    for _ in range(min(CENTRES, len(points))):
        chosen.append(place)
        nearest = np.minimum(nearest, ((points - points[place]) ** 2).sum(axis=1))
        nearest[place] = -1.0  # chosen ones are never the farthest
        place = int(nearest.argmax())
    taken = set(chosen)
    return chosen + [int(other) for other in np.argsort(-nearest, kind="stable") if int(other) not in taken]
