"""The words of a question are the released runner's."""

from __future__ import annotations

from datamodules.face_benchmark.batch import Question
from lightning_modules.face_benchmark.extraction.strict import strict_letter
from lightning_modules.face_benchmark.prompts import Asked, prompt_key, prompt_of

QUESTION = Question(
    "tools/1", "tools_use", "tools_retrieval", "gpt4o", ("black.png",), "Which calls?", ("api_1", "api_2"), "A",
    description="Calls are selected.", instruction="Letter only.", context="Ignore the black image.\n1. Age",
)  # fmt: skip


def test_zero_shot_has_context_question_instruction_and_options() -> None:
    assert prompt_of(QUESTION) == (
        "Ignore the black image.\n1. Age\nWhich calls?\nLetter only.\n(A) api_1\n(B) api_2\n"
    )


def test_the_description_of_the_task_stands_before_the_question() -> None:
    assert prompt_of(QUESTION, "task_description") == (
        "Ignore the black image.\n1. Age\nCalls are selected.\nWhich calls?\nLetter only.\n(A) api_1\n(B) api_2\n"
    )


def test_thoughts_are_asked_for_in_place_of_a_letter_alone() -> None:
    words = prompt_of(QUESTION, "chain_of_thought")
    assert "Letter only." not in words
    assert "step by step" in words
    answer = "Image 1 shows (A) and (B) is not needed.\nThe answer is (A)"
    assert strict_letter(answer, QUESTION.options).letter == "A"


def test_a_key_changes_with_the_words() -> None:
    keys = {
        prompt_key(Asked(QUESTION, prompt_of(QUESTION, setting), [])) for setting in ("zero_shot", "task_description")
    }
    assert len(keys) == 2
