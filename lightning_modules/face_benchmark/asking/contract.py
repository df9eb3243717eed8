"""What it is to be asked: questions in, words and log-probabilities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from lightning_modules.face_benchmark.prompts import Asked

Scoring = Literal["generate", "likelihood"]


class Answered(NamedTuple):
    """What was answered to one question.

    Attributes:
        text: The words; by likelihood the letter.
        log_probabilities: Of each option's letter as the first of an answer, in the options' order; None by words.
        tokens_in: Tokens of the question, pictures among them.
        tokens_out: Tokens of the answer.
        cut: The answer was longer than its limit.
        failed: Why there is no answer; such a question is asked again by the next run.
    """

    text: str
    log_probabilities: tuple[float, ...] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cut: bool = False
    failed: str = ""


class Answerer(ABC):
    """Somebody who can be asked."""

    @abstractmethod
    def answer(self, asked: Sequence[Asked], scoring: Scoring, max_new_tokens: int) -> list[Answered]:
        """Answer some questions, each by itself.

        Args:
            asked: The questions.
            scoring: By words, or by the likelihood of the options' letters.
            max_new_tokens: Longest answer in words.
        """

    def resume(self, tokens_in: int, tokens_out: int) -> None:  # noqa: B027  # a network and a script spend nothing
        """Begin with what the answers of a folder have taken of a limit, which earlier runs may have filled."""

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """What an answer depends on, as plain values: name, weights, precision. Recorded with every result."""
