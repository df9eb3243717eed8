"""Whom a training learnt from, in a few numbers: enough to see later whether it shares people with a test."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.faces.lists.records import LabelTable

KEPT = 8192  # people that a sketch holds; of fewer it holds all
_BYTES = 7  # of a hash: a positive int64
_DRAWN = re.compile(r"demo/seed-?\d+/\w+/epoch\d+/\d+")  # names of generated faces


class Overlap(NamedTuple):
    """How many of some people a training learnt from.

    Attributes:
        shared: People that it learnt from, of those that the sketch can tell.
        told: People that the sketch can tell; all of them, unless the training had more than it holds.
    """

    shared: int
    told: int


def people_of(table: LabelTable) -> list[str]:
    """Who is on each picture: the name; where nobody is named, the picture itself.

    Generated people have the same names in every demo, so that the demo and its seed belong to theirs.

    Example:
        >>> files = ["demo/a.png", "b.png", "demo/seed7/train/epoch0/000001"]
        >>> people_of(LabelTable(torch.zeros(3, 1), files, ["Ann", "", "train-00000"]))
        ['Ann', 'b.png', 'demo/seed7/train/epoch0/train-00000']
    """
    return [
        str(PurePosixPath(file).parent / person) if _DRAWN.fullmatch(file) else person or file
        for file, person in zip(table.files, table.identities, strict=True)
    ]


def sketch_of(people: Iterable[str]) -> Tensor:
    """The lowest hashes of people, int64 ``(n,)``, n at most `KEPT`, ascending.

    No name can be read from them, but whoever knows a name can look for it.
    """
    hashes = sorted({_hash(person) for person in people})
    return torch.tensor(hashes[:KEPT], dtype=torch.int64)


def joined(first: Tensor, second: Tensor) -> Tensor:
    """The sketch of the people of two sketches."""
    return torch.tensor(sorted({*first.tolist(), *second.tolist()})[:KEPT], dtype=torch.int64)


def overlap(sketch: Tensor, people: Iterable[str] | Tensor) -> Overlap:
    """Look for people in a sketch.

    Args:
        sketch: Of those that a training learnt from.
        people: Whom to look for, by name or by a sketch of them.

    Example:
        >>> overlap(sketch_of(["Ann", "Bob"]), ["Bob", "Bob", "Eve"])
        Overlap(shared=1, told=2)
    """
    known = set(sketch.tolist())
    sought = set(people.tolist()) if isinstance(people, Tensor) else {_hash(person) for person in people}
    # Of more than it holds, a sketch knows those up to its highest number.
    full = [known, *([sought] if isinstance(people, Tensor) else [])]
    highest = min((max(part) for part in full if len(part) >= KEPT), default=math.inf)
    told = {number for number in sought if number <= highest}
    return Overlap(len(told & known), len(told))


def _hash(person: str) -> int:
    return int.from_bytes(hashlib.blake2b(person.encode(), digest_size=_BYTES).digest())
