"""Attributes: which of several a face shows, or does not show."""

from __future__ import annotations

from random import Random
from typing import Final

import torch

from datamodules.face_benchmark.generator.made import IMAGES, Made, Task, Template
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import face
from datamodules.faces.schema import ABSENT, PRESENT, normalised

_OPTIONS: Final = 4
_TRIES: Final = 200
_PEOPLE: Final = ("male", "age", "white", "black", "asian", "indian", "latino", "middleeastern", "others")


def _columns(pool: FacePool) -> list[int]:
    """Attributes that some faces show and some do not, without those that other tasks ask about."""
    asked = [place for place, name in enumerate(pool.names) if not normalised(name).startswith(_PEOPLE)]
    return [
        place
        for place in asked
        if bool((pool.attributes[:, place] == PRESENT).any()) and bool((pool.attributes[:, place] == ABSENT).any())
    ]


def _odd_one(wanted: int) -> Template:
    rest = ABSENT if wanted == PRESENT else PRESENT
    verb = "show" if wanted == PRESENT else "NOT show"

    def make(pool: FacePool, random: Random) -> Made:
        """Four attributes for each of which a face has this one odd are drawn first, so that none is likelier."""
        columns = _columns(pool)
        for _ in range(_TRIES):
            chosen = random.sample(columns, _OPTIONS)
            seen = pool.attributes[:, chosen]
            fits = [
                ((seen[:, place] == wanted) & (seen == rest).sum(dim=1).eq(_OPTIONS - 1)).nonzero()[:, 0]
                for place in range(_OPTIONS)
            ]
            if all(len(rows) for rows in fits):
                break
        else:
            return _which(pool, random)
        right = random.randrange(_OPTIONS)
        row = int(fits[right][random.randrange(len(fits[right]))])
        text = f"Which of these attributes does the person in this image {verb}?"
        return Made(text, [pool.names[place] for place in chosen], right, [face(row)], [row])

    return make


def _which(pool: FacePool, random: Random) -> Made:
    """Of two images the first, the second, both or neither shows an attribute, each as often."""
    column = random.choice(_columns(pool))
    right = random.randrange(4)
    seen = pool.attributes[:, column]
    rows: list[int] = []
    for wanted in ([PRESENT, ABSENT], [ABSENT, PRESENT], [PRESENT] * 2, [ABSENT] * 2)[right]:
        found = torch.nonzero(seen == wanted)[:, 0]
        rows.append(int(found[random.randrange(len(found))]))
    options = [IMAGES[0], IMAGES[1], "both images", "none of the above"]
    text = f"Which image shows a person with the attribute {pool.names[column]}?"
    return Made(text, options, right, [face(row) for row in rows], rows)


TASK: Final = Task(
    "Attribute prediction tells which attributes, such as hair, glasses or a hat, a face shows. You have to perform "
    "this task.",
    [_odd_one(PRESENT), _odd_one(ABSENT), _which],
    lambda pool: "" if len(_columns(pool)) >= _OPTIONS else "labels of four attributes or more",
)
