"""A question that was made, before its options are shuffled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from datamodules.face_benchmark.generator.pool import FacePool

IMAGES = "image 1", "image 2", "image 3", "image 4", "image 5"


class Made(NamedTuple):
    """A question.

    Attributes:
        text: Its words.
        options: Of which each was as likely to be the right one, whatever they are.
        right: Place of the right one.
        images: Names of its pictures, see `scenes`.
        rows: Faces in them.
    """

    text: str
    options: Sequence[str]
    right: int
    images: Sequence[str]
    rows: Sequence[int]


Template = Callable[[FacePool, Random], Made]


class Task(NamedTuple):
    """A task that questions can be made of.

    Attributes:
        description: What it is about, as a file's ``prepend_text``.
        templates: Each makes a question of faces that allow it.
        lacks: Says what faces lack that the task needs; empty where they lack nothing.
    """

    description: str
    templates: Sequence[Template]
    lacks: Callable[[FacePool], str]
