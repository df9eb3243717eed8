"""What became of one question, as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from datamodules.face_benchmark.batch import Question
from lightning_modules.face_benchmark.asking.contract import Answered
from lightning_modules.face_benchmark.extraction.official import official_letter
from lightning_modules.face_benchmark.extraction.strict import strict_letter


@dataclass(frozen=True)
class Outcome:
    """A question, its answer, and what the answer means.

    Attributes:
        key: Of the question.
        rotation: Places by which its options were moved on.
        category: Key of its category.
        task: Key of its task.
        dataset: Set of pictures.
        images: Number of pictures that were shown.
        image_count: "zero", "single" or "multiple".
        template: Questions of one are not independent.
        picture_hashes: SHA-256 of the pixels of each picture; questions that share one are not independent either.
        prompt: 16 digits that change with its words.
        question: Its words, without context, instruction and options.
        options: In the order in which they were asked.
        right: Letter of the right one.
        text: The answer.
        official: Letter by the released rules; None for none.
        strict: Letter by ours.
        refused: It declines to answer.
        cut: It was longer than its limit.
        log_probabilities: Of each letter; None by words.
        tokens_in: Of the question.
        tokens_out: Of the answer.
        seconds: Its share of its batch's time.
        groups: What is known of the people in its pictures.
    """

    key: str
    rotation: int
    category: str
    task: str
    dataset: str
    images: int
    image_count: str
    template: str
    picture_hashes: tuple[str, ...]
    prompt: str
    question: str
    options: tuple[str, ...]
    right: str
    text: str
    official: str | None
    strict: str | None
    refused: bool = False
    cut: bool = False
    log_probabilities: tuple[float, ...] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """By our reading."""
        return self.strict == self.right

    @property
    def is_officially_right(self) -> bool:
        """By the released rules."""
        return self.official == self.right

    @property
    def is_unparsed(self) -> bool:
        """Whether no option was found in it, refusals among them."""
        return self.strict is None

    def line(self) -> str:
        """The whole as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def outcome_of(
    question: Question, rotation: int, hashes: Sequence[str], prompt: str, answered: Answered, seconds: float
) -> Outcome:
    """Read an answer by both rules."""
    strict = strict_letter(answered.text, question.options)
    return Outcome(
        key=question.key,
        rotation=rotation,
        category=question.category,
        task=question.task,
        dataset=question.dataset,
        images=len(hashes),
        image_count=question.image_count,
        template=question.template,
        picture_hashes=tuple(hashes),
        prompt=prompt,
        question=question.text,
        options=question.options,
        right=question.letter,
        text=answered.text,
        official=official_letter(answered.text, question.options),
        strict=strict.letter,
        refused=strict.refused,
        cut=answered.cut,
        log_probabilities=answered.log_probabilities,
        tokens_in=answered.tokens_in,
        tokens_out=answered.tokens_out,
        seconds=round(seconds, 4),
        groups=dict(question.groups),
    )


def read_again(one: Outcome, question: Question) -> Outcome:
    """An answer of before, read by the question as it stands now: what is right may have been mended since."""
    said = Answered(one.text, one.log_probabilities, one.tokens_in, one.tokens_out, one.cut)
    return outcome_of(question, one.rotation, one.picture_hashes, one.prompt, said, one.seconds)


def tokens_of(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """Tokens of all questions, and of all answers."""
    own = [(one.tokens_in, one.tokens_out) for one in outcomes]
    return sum(asked for asked, _ in own), sum(said for _, said in own)


def read_line(line: str) -> Outcome | None:
    """An outcome from its line; None for a line that was not written to its end."""
    try:
        content = json.loads(line)
        return _of(content)
    except (ValueError, TypeError, KeyError):
        return None


def _of(content: object) -> Outcome:
    if not isinstance(content, dict):
        raise TypeError("an outcome is an object")
    known = {one.name for one in fields(Outcome)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    return Outcome(**cast(dict[str, Any], {name: value for name, value in values.items() if name in known}))
