"""Answers by rule, beside which those of a model are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from datamodules.face_benchmark.batch import LETTERS
from lightning_modules.face_benchmark.asking.contract import Answered, Answerer, Scoring
from lightning_modules.face_benchmark.prompts import Asked

Script = Literal["oracle", "always_a"]


class Scripted(Answerer):
    """Knows every answer, or none.

    Args:
        script: ``oracle`` answers rightly, ``always_a`` with the first letter.
    """

    def __init__(self, script: Script) -> None:
        self._script: Script = script

    def answer(self, asked: Sequence[Asked], scoring: Scoring, max_new_tokens: int) -> list[Answered]:
        """The letter."""
        letters = [one.question.letter if self._script == "oracle" else LETTERS[0] for one in asked]
        return [
            Answered(letter, _sure(letter, one.question.letters) if scoring == "likelihood" else None)
            for letter, one in zip(letters, asked, strict=True)
        ]

    def facts(self) -> Mapping[str, object]:
        """Its script."""
        return {"model": f"script {self._script}"}


def _sure(letter: str, letters: str) -> tuple[float, ...]:
    return tuple(0.0 if one == letter else -100.0 for one in letters)
