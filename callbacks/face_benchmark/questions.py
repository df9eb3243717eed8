"""A sheet of questions as they were asked, with their pictures and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from callbacks.figures.sheet import Picture, SheetFace, as_picture, draw_sheet
from datamodules.common.errors import one_line
from datamodules.face_benchmark.batch import LETTERS, TASKS
from datamodules.face_benchmark.dataset import QuestionDataset
from lightning_modules.face_benchmark.results.outcome import Outcome

_COLUMNS = 3
_MOST_PICTURES = 4
_SIDE = 132  # pixels
_LONGEST = 60  # letters of an answer


def draw_questions(outcomes: Sequence[Outcome], dataset: QuestionDataset) -> Image.Image:
    """The first question of each task, with its pictures, the right option and what was answered.

    Args:
        outcomes: One at least.
        dataset: Has the pictures.
    """
    places = {(row.question.key, row.rotation): place for place, row in enumerate(dataset.rows)}
    first: Mapping[str, Outcome] = {one.task: one for one in reversed(outcomes) if (one.key, one.rotation) in places}
    shown = sorted(first.values(), key=lambda one: places[one.key, one.rotation])
    faces = [_face(one, dataset, places[one.key, one.rotation]) for one in shown]
    return draw_sheet(faces, _COLUMNS, "The first question of each task; the right option is marked *")


def _face(one: Outcome, dataset: QuestionDataset, place: int) -> SheetFace:
    pictures = [_square(as_picture(picture)) for picture in dataset.pictures(place)[:_MOST_PICTURES]]
    options = [
        f"{'*' if letter == one.right else ' '} ({letter}) {option}"
        for letter, option in zip(LETTERS, one.options, strict=False)
    ]
    name = TASKS[one.task][0] if one.task in TASKS else one.task
    caption = "\n".join([f"{name}: {one.question}", *options])
    blank = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    return SheetFace(tuple(pictures) or (blank,), caption, f"answered: {one_line(one.text)[:_LONGEST] or '(nothing)'}")


def _square(picture: Picture) -> Picture:
    """A picture of any size in a square, on white."""
    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE))
    if max(image.size) < _SIDE:
        scale = _SIDE / max(image.size)
        image = image.resize((round(image.width * scale) or 1, round(image.height * scale) or 1))
    square = Image.new("RGB", (_SIDE, _SIDE), "white")
    square.paste(image, ((_SIDE - image.width) // 2, (_SIDE - image.height) // 2))
    return np.asarray(square)
