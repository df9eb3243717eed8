"""How a question is put into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from torch import Tensor

from datamodules.common.fingerprint import config_digest
from datamodules.face_benchmark.batch import Question

Setting = Literal["zero_shot", "task_description", "chain_of_thought"]
Taught = Literal["letter", "words_and_letter"]

# The paper has this setting, its released runner and files do not: these words are our own.
_THINK: Final = (
    "Look at each image and think step by step. Then write a last line of the form "
    '"The answer is (X)", where X is the letter of one option.'
)


class Asked(NamedTuple):
    """A question as it is put to a model.

    Attributes:
        question: The question; models see nothing of it but what the prompt says.
        prompt: The words, which follow the pictures.
        images: uint8 ``(3, H, W)`` each, RGB.
    """

    question: Question
    prompt: str
    images: Sequence[Tensor]


def prompt_of(question: Question, setting: Setting = "zero_shot") -> str:
    r"""Words of a question, a line each: context, description of the task, question, instruction, options.

    Those of the first two settings are the released runner's, letter for letter.

    Args:
        question: The question.
        setting: ``zero_shot`` leaves the description of the task out, ``task_description`` tells it (the paper's
            in-context setting), ``chain_of_thought`` leaves it out and asks for thoughts and a last line, in words of
            our own.

    Example:
        >>> question = Question("a/1", "c", "t", "d", (), "Who?", ("he", "she"), "B", instruction="Letter only.")
        >>> prompt_of(question)
        'Who?\nLetter only.\n(A) he\n(B) she\n'
    """
    described = question.description if setting == "task_description" else ""
    instruction = _THINK if setting == "chain_of_thought" else question.instruction
    options = [f"({letter}) {option}" for letter, option in zip(question.letters, question.options, strict=True)]
    lines = [question.context, described, question.text, instruction, *options]
    return "".join(f"{line}\n" for line in lines if line)


def right_answer(question: Question, taught: Taught = "letter") -> str:
    """What is to be said.

    Example:
        >>> right_answer(Question("a/1", "c", "t", "d", (), "Who?", ("he", "she"), "B"), "words_and_letter")
        'she (B)'
    """
    return question.letter if taught == "letter" else f"{question.right_option} ({question.letter})"


def prompt_key(asked: Asked) -> str:
    """16 digits that change with the words of a question."""
    return config_digest({"prompt": asked.prompt})[:16]
