"""Age group, gender, race and expression: one of several words is true of a face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from datamodules.face_benchmark.generator.made import IMAGES, Made, Task, Template
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import face

_OPTIONS: Final = 4
_WORDS: Final = {
    "gender": "What is the gender of the person in this image?",
    "age": "Which age group does the person in this image belong to?",
    "race": "What is the race of the person in this image?",
    "expression": "Which facial expression is the person in this image showing?",
}
_WHICH: Final = {
    "gender": "Which image shows a {} person?",
    "age": "Which image shows a person of the age group {}?",
    "race": "Which image shows a person of the race {}?",
    "expression": "Which image shows a {} person?",
}
_ABOUT: Final = {
    "gender": "Gender prediction tells from a face whether a person is male or female.",
    "age": "Age estimation tells from a face which group of ages a person belongs to.",
    "race": "Race estimation tells from a face which race a person belongs to.",
    "expression": "Facial expression recognition tells from a face what a person expresses.",
}


def task_of(kind: str) -> Task:
    """The task of a kind of facts."""
    return Task(f"{_ABOUT[kind]} You have to perform this task.", [_single(kind), _multiple(kind)], _lacks(kind))


def _single(kind: str) -> Template:
    def make(pool: FacePool, random: Random) -> Made:
        """The options are drawn first, then one of them, then a face of which it is true."""
        values = list(pool.values(kind))
        options = random.sample(values, min(_OPTIONS, len(values)))
        right = random.randrange(len(options))
        row = random.choice(pool.rows(kind, options[right]))
        return Made(_WORDS[kind], options, right, [face(row)], [row])

    return make


def _multiple(kind: str) -> Template:
    def make(pool: FacePool, random: Random) -> Made:
        """Of two images the first, the second, both or neither is what is asked for, each as often."""
        wanted = random.choice(list(pool.values(kind)))
        others = [value for value in pool.values(kind) if value != wanted]
        right = random.randrange(4)
        shown = [right in (0, 2), right in (1, 2)]
        rows: list[int] = []
        for is_wanted in shown:
            rows.append(_another(pool.rows(kind, wanted if is_wanted else random.choice(others)), rows, random))
        options = [IMAGES[0], IMAGES[1], "both images", "none of the above"]
        return Made(_WHICH[kind].format(wanted), options, right, [face(row) for row in rows], rows)

    return make


def _another(rows: Sequence[int], taken: Sequence[int], random: Random) -> int:
    row = random.choice(rows)
    if row not in taken:
        return row
    free = [row for row in rows if row not in taken]
    return random.choice(free or list(rows))


def _lacks(kind: str) -> Callable[[FacePool], str]:
    return lambda pool: "" if len(pool.values(kind)) > 1 else f"labels of {kind}"
