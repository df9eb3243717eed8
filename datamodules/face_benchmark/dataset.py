"""Questions as whole batches, with their pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError, ImageError
from datamodules.common.sampler import SampleIndex, WholeBatches
from datamodules.common.seeded_draws import key_of
from datamodules.face_benchmark.batch import LETTERS, Question, QuestionBatch
from datamodules.face_benchmark.settings import Shown
from datamodules.images.upright import read_picture
from datamodules.summary.findings import OnError


class QuestionSource(Protocol):
    """Where questions and their pictures come from."""

    @property
    def questions(self) -> Sequence[Question]:
        """All of them."""

    def pictures(self, question: Question) -> list[Tensor]:
        """Pictures of a question, uint8 ``(3, H, W)`` each.

        Raises:
            ImageError: If one cannot be read.
        """

    def prepare(self, questions: Sequence[Question]) -> None:
        """Make what pictures of some questions need, if that is faster together."""


class QuestionsOfFiles:
    """Questions whose pictures are files.

    Args:
        folder: What the names of pictures are relative to.
        questions: The questions.
    """

    def __init__(self, folder: Path, questions: Sequence[Question]) -> None:
        self.folder = folder
        self.questions = questions

    def pictures(self, question: Question) -> list[Tensor]:
        """Pictures of a question, upright, as their files hold them."""
        return [
            torch.from_numpy(np.asarray(read_picture(self.folder / name, question.key)).copy()).permute(2, 0, 1)
            for name in question.images
        ]

    def prepare(self, questions: Sequence[Question]) -> None:
        """Nothing: files are read one by one."""


class Row(NamedTuple):
    """A question as it is asked.

    Attributes:
        question: With its options in the order in which they are asked.
        rotation: Places by which they were moved on.
        lender: Question whose pictures are shown.
    """

    question: Question
    rotation: int
    lender: Question


def turned(question: Question, places: int) -> Question:
    """A question with its options moved on by some places, and its letter with them.

    Example:
        >>> made = turned(Question("a/1", "c", "t", "d", (), "Who?", ("x", "y", "z"), "A"), 1)
        >>> made.options, made.letter
        (('z', 'x', 'y'), 'B')
    """
    number = len(question.options)
    places %= number
    if places == 0:
        return question
    options = question.options[number - places :] + question.options[: number - places]
    return replace(question, options=options, letter=LETTERS[(LETTERS.index(question.letter) + places) % number])


def rows_of(questions: Sequence[Question], rotations: int, shown: Shown, seed: int) -> list[Row]:
    """Questions as they are asked: each in as many turns as are wanted and as it has options.

    Args:
        questions: The questions.
        rotations: Turns of each.
        shown: "others" lends each question the pictures of another one.
        seed: Of who lends to whom.

    Raises:
        ConfigurationError: If nobody can lend a question other pictures.
    """
    lenders = _others(questions, seed) if shown == "others" else questions
    return [
        Row(turned(question, places), places, lender)
        for question, lender in zip(questions, lenders, strict=True)
        for places in range(min(rotations, len(question.options)))
    ]


class QuestionDataset(WholeBatches[QuestionBatch]):
    """Rows of questions.

    Args:
        source: Reads their pictures.
        rows: As they are asked.
        shown: What is shown.
        black_picture: Whether questions without pictures show the black one that they carry.
        on_error: "skip" marks questions not valid whose pictures cannot be read.
    """

    unit: ClassVar[str] = "questions"  # what progress counts

    def __init__(
        self, source: QuestionSource, rows: Sequence[Row], shown: Shown, black_picture: bool, on_error: OnError
    ) -> None:
        self.rows = rows
        self._source = source
        self._shown: Shown = shown
        self._black_picture = black_picture
        self._on_error: OnError = on_error

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def without(self, done: Collection[tuple[str, int]]) -> QuestionDataset:
        """The same without questions that are done, by key and rotation."""
        rows = [row for row in self.rows if (row.question.key, row.rotation) not in done]
        return QuestionDataset(self._source, rows, self._shown, self._black_picture, self._on_error)

    def pictures(self, place: int) -> list[Tensor]:
        """Pictures of a row, uint8 ``(3, H, W)`` each; none where they cannot be read."""
        return self._pictures(self.rows[place])[0]

    def hashes(self, place: int) -> list[str]:
        """Hashes of the pictures of a row; none where they cannot be read."""
        return [picture_hash(picture) for picture in self.pictures(place)]

    def prepare(self, places: Iterable[int]) -> None:
        """Draw what pictures of some rows need together, where they are drawn."""
        self._source.prepare([self.rows[place].lender for place in places])

    def read(self, samples: Sequence[SampleIndex]) -> QuestionBatch:
        """A batch of questions; padding has no pictures."""
        self.prepare(sample.index for sample in samples if sample.valid)
        images, errors = [], []
        for sample in samples:
            found, error = self._pictures(self.rows[sample.index]) if sample.valid else ([], "")
            images.append(found)
            errors.append(error)
        batch = QuestionBatch(
            question=[self.rows[sample.index].question for sample in samples],
            image=images,
            image_hash=[[picture_hash(one) for one in own] for own in images],
            rotation=torch.tensor([self.rows[sample.index].rotation for sample in samples]),
            index=torch.tensor([sample.index for sample in samples]),
            valid=torch.tensor([sample.valid and not error for sample, error in zip(samples, errors, strict=True)]),
        )
        if any(errors):
            batch["error"] = errors
        return batch

    def _pictures(self, row: Row) -> tuple[list[Tensor], str]:
        if row.question.image_count == "zero" and not self._black_picture:
            return [], ""
        try:
            own = self._source.pictures(row.lender)
        except ImageError as error:
            if self._on_error == "raise":
                raise
            return [], str(error)
        wanted = len(row.question.images)
        shown = [own[place % len(own)] for place in range(wanted)] if own else []
        return ([torch.zeros_like(one) for one in shown] if self._shown == "black" else shown), ""


def picture_hash(picture: Tensor) -> str:
    """SHA-256 of a picture's size and pixels, uint8 ``(3, H, W)``."""
    return hashlib.sha256(f"{tuple(picture.shape)}".encode() + picture.contiguous().numpy().tobytes()).hexdigest()


def _others(questions: Sequence[Question], seed: int) -> list[Question]:
    """For each question another one of its task with other pictures, in a circle of random order."""
    lenders: dict[str, Question] = {}
    for task in dict.fromkeys(question.task for question in questions):
        own = [question for question in questions if question.task == task]
        order = _shuffled(own, seed)
        for place, question in enumerate(order):
            others = (order[(place + step) % len(order)] for step in range(1, len(order)))
            lender = next((one for one in others if not set(one.images) & set(question.images)), None)
            if lender is None and question.image_count != "zero":  # of those without pictures all carry the same one
                raise ConfigurationError(
                    f"pictures is others, but no other question of {task} has other pictures than {question.key}: ask "
                    "more questions of it, or take pictures black"
                )
            lenders[question.key] = lender or question
    return [lenders[question.key] for question in questions]


def _shuffled(questions: Iterable[Question], seed: int) -> list[Question]:
    return sorted(questions, key=lambda question: int(key_of(seed, "lender", question.key)))
