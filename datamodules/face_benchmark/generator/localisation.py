"""Where and how many: the tilt of a head, a part that is marked, people in a picture."""

from __future__ import annotations

from random import Random
from typing import Final

from datamodules.face_benchmark.generator.made import Made, Task
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import MOST_OF_A_CROWD, PARTS, crowd, part, shows_part, tilted, wearers

_OPTIONS: Final = 4
_BIN: Final = 10  # degrees
_BINS: Final = tuple(range(-40, 40, _BIN))
_MARGIN: Final = 1.0  # degrees of a range's ends that no head is tilted by
_TRIES: Final = 50


def _roll(pool: FacePool, random: Random) -> Made:
    """The ranges are drawn first, then one of them, then a tilt in it."""
    bins = random.sample(_BINS, _OPTIONS)
    right = random.randrange(_OPTIONS)
    degrees = random.uniform(bins[right] + _MARGIN, bins[right] + _BIN - _MARGIN)
    row = random.randrange(len(pool))
    text = "By how many degrees is the head of the person in this image tilted clockwise?"
    return Made(text, [f"{low} to {low + _BIN}" for low in bins], right, [tilted(row, degrees)], [row])


def _painted(pool: FacePool, random: Random) -> Made:
    parts = random.sample(list(PARTS), _OPTIONS)
    right = random.randrange(_OPTIONS)
    candidates = wearers(pool, parts[right]).tolist()
    row = random.choice(candidates)
    for _ in range(_TRIES):
        if shows_part(pool, row, parts[right]):
            break
        row = random.choice(candidates)
    text = "Which part of the face or clothes is painted white in this image?"
    return Made(text, parts, right, [part(row, parts[right])], [row])


def _count(pool: FacePool, random: Random) -> Made:
    """The numbers are drawn first, then one of them: the middle one is no better a guess."""
    numbers = random.sample(range(1, MOST_OF_A_CROWD + 1), _OPTIONS)
    right = random.randrange(_OPTIONS)
    rows = random.sample(range(len(pool)), numbers[right])
    name = crowd(rows, random.randrange(1 << 30))
    return Made("How many people are in this image?", [str(number) for number in numbers], right, [name], rows)


HEADPOSE: Final = Task(
    "Head pose estimation tells by how many degrees a head is tilted: 0 upright, more than 0 clockwise. You have to "
    "perform this task.",
    [_roll],
    lambda pool: "" if pool.parameters is not None else "labels of the head's pose",
)
SEGMENTATION: Final = Task(
    "Face parsing tells the parts of a face and of what is worn apart. One part is painted white. You have to perform "
    "this task.",
    [_painted],
    lambda pool: "" if pool.parameters is not None else "masks of the parts of a face",
)
CROWD: Final = Task(
    "Crowd counting tells how many people are in an image. You have to perform this task.",
    [_count],
    lambda pool: "" if len(pool) >= MOST_OF_A_CROWD else f"{MOST_OF_A_CROWD} faces or more",
)
