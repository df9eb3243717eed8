"""Questions and outcomes for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from datamodules.face_benchmark.batch import LETTERS, Question
from lightning_modules.face_benchmark.prompts import Asked, prompt_of
from lightning_modules.face_benchmark.results.outcome import Outcome


def question(
    key: str = "set/1", letter: str = "B", options: Sequence[str] = ("1", "2", "3", "4"), **others: Any
) -> Question:
    return Question(key, "bias_fairness", "age", "fairface", ("a.png",), "How many?", tuple(options), letter, **others)


def asked(number: int, pictures: Sequence[int] = (1, 2, 0, 3), side: int = 30) -> list[Asked]:
    """Questions with different numbers of pictures, of different sizes."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for place in range(number):
        own = question(f"set/{place}", LETTERS[place % 4], text_of(place))
        count = pictures[place % len(pictures)]
        shapes = [(3, side + place, side + 2 * image) for image in range(count)]
        images = [torch.randint(0, 256, shape, generator=generator).to(torch.uint8) for shape in shapes]
        made.append(Asked(own, prompt_of(own), images))
    return made


def text_of(place: int) -> tuple[str, ...]:
    return tuple(f"option {place} {'long ' * (place % 5)}{letter}" for letter in "wxyz")


def outcome(key: str, is_right: bool, **others: Any) -> Outcome:
    values: dict[str, Any] = {
        "key": key, "rotation": 0, "category": "bias_fairness", "task": "age", "dataset": "fairface", "images": 1,
        "image_count": "single", "template": key, "picture_hashes": (key,), "prompt": "p", "question": "How many?",
        "options": ("1", "2", "3", "4"), "right": "B", "text": "B",
        "official": "B" if is_right else "A", "strict": "B" if is_right else "A",
    }  # fmt: skip
    return Outcome(**values | others)
