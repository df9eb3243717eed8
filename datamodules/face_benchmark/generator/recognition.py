"""Who is who: the same person or not, at two resolutions, and by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random
from typing import Final

from datamodules.face_benchmark.generator.made import Made, Task, Template
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import face, small

_FACES: Final = 4  # of a question that looks for a pair
_OPTIONS: Final = 4
_NAMED: Final = 4  # people with a name that are needed


def pairs_of(show: Callable[[int], str], quality: str) -> Task:
    """The task of telling people apart in pictures of a quality.

    Args:
        show: Names the picture of a face.
        quality: In words.
    """
    return Task(
        f"Face recognition tells from {quality} pictures whether they show the same person. You have to perform this "
        "task.",
        [_same(show), _pair(show), _number(show)],
        lambda pool: "" if len(pool.photos) >= _FACES else "several pictures of each of four people or more",
    )


def _same(show: Callable[[int], str]) -> Template:
    def make(pool: FacePool, random: Random) -> Made:
        one, other = random.sample(list(pool.photos), 2)
        right = random.randrange(2)
        rows = random.sample(list(pool.photos[one]), 2)
        if right == 1:
            rows[1] = random.choice(pool.photos[other])
        return Made(
            "Do these two images show the same person?", ["yes", "no"], right, [show(row) for row in rows], rows
        )

    return make


def _pair(show: Callable[[int], str]) -> Template:
    def make(pool: FacePool, random: Random) -> Made:
        """Four faces of three people; the pairs that are offered are drawn before the right one."""
        pairs = random.sample(list(combinations(range(_FACES), 2)), _OPTIONS)
        right = random.randrange(_OPTIONS)
        twice, *others = random.sample(list(pool.photos), _FACES - 1)
        rows: list[int] = [-1] * _FACES
        for place, row in zip(pairs[right], random.sample(list(pool.photos[twice]), 2), strict=True):
            rows[place] = row
        for person in others:
            rows[rows.index(-1)] = random.choice(pool.photos[person])
        options = [f"images {one + 1} and {other + 1}" for one, other in pairs]
        text = "Which two of these images show the same person?"
        return Made(text, options, right, [show(row) for row in rows], rows)

    return make


def _number(show: Callable[[int], str]) -> Template:
    def make(pool: FacePool, random: Random) -> Made:
        """Three pictures of one, two or three people, each as often."""
        right = random.randrange(3)
        people = random.sample(list(pool.photos), 3)
        enough = [person for person, rows in pool.photos.items() if len(rows) >= 3]
        if right == 0 and len(pool.photos[people[0]]) < 3 and enough:  # else a picture would be shown twice
            people[0] = random.choice(enough)
        shown = {0: [0, 0, 0], 1: [0, 0, 1], 2: [0, 1, 2]}[right]
        rows: list[int] = []
        for number in shown:
            free = [row for row in pool.photos[people[number]] if row not in rows]
            rows.append(random.choice(free or list(pool.photos[people[number]])))
        random.shuffle(rows)
        text = "How many different people do these images show?"
        return Made(text, ["1", "2", "3"], right, [show(row) for row in rows], rows)

    return make


def _celebrity(pool: FacePool, random: Random) -> Made:
    names = random.sample(_named(pool), _OPTIONS)
    right = random.randrange(_OPTIONS)
    row = random.choice([row for row, person in enumerate(pool.people) if person == names[right]])
    return Made("Who is the person in this image?", [_shown(name) for name in names], right, [face(row)], [row])


HIGH: Final = pairs_of(face, "high-resolution")
LOW: Final = pairs_of(small, "low-resolution")
CELEBRITY: Final = Task(
    "Celebrity identification tells the name of a well-known person from a face. You have to perform this task.",
    [_celebrity],
    lambda pool: "" if len(_named(pool)) >= _NAMED else "names of people",
)


def _named(pool: FacePool) -> Sequence[str]:
    """People whose names are words, not numbers."""
    known = sorted({person for person in pool.people if person and not any(sign.isdigit() for sign in person)})
    return [] if pool.parameters is not None else known


def _shown(name: str) -> str:
    return name.replace("_", " ")
