"""The batch contract of questions about faces."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NotRequired, TypedDict

from torch import Tensor

LETTERS: Final = string.ascii_uppercase  # an option each
ImageCount = Literal["zero", "single", "multiple"]

# Categories of FaceXBench (Narayan et al., IEEE T-BIOM 8(3), 2026) by the keys of its files, in the order of its table.
CATEGORIES: Final[dict[str, str]] = {
    "bias_fairness": "Bias & Fairness",
    "face_recognition": "Face Recognition",
    "fas_deepfakes": "Face Authentication",
    "attributes_expression": "Face Analysis",
    "face_localization": "Face Localization",
    "tools_use": "Face Tools Use",
}
# Its tasks, and the category that its files put each into.
TASKS: Final[dict[str, tuple[str, str]]] = {
    "age": ("Age Estimation", "bias_fairness"),
    "gender": ("Gender Prediction", "bias_fairness"),
    "race": ("Race Estimation", "bias_fairness"),
    "hr_fr": ("HR Face Recognition", "face_recognition"),
    "lr_fr": ("LR Face Recognition", "face_recognition"),
    "celebrity_identification": ("Celebrity Identification", "face_recognition"),
    "fas": ("Face Anti-spoofing", "fas_deepfakes"),
    "deepfakes": ("Deepfake Detection", "fas_deepfakes"),
    "attributes": ("Attributes Prediction", "attributes_expression"),
    "expression": ("Facial Expression Recognition", "attributes_expression"),
    "headpose": ("Headpose Estimation", "face_localization"),
    "segmentation": ("Face Parsing", "face_localization"),
    "crowd_counting": ("Crowd Counting", "face_localization"),
    "tools_retrieval": ("Face Tools Retrieval", "tools_use"),
}


@dataclass(frozen=True)
class Question:
    """A question with several options, one of which is right.

    Attributes:
        key: Name in its set: the file's stem and the number in it, ``lfw_multiple_mcq/12``.
        category: Key of `CATEGORIES`, or one of the file's own.
        task: Key of `TASKS`, or one of the file's own.
        dataset: Name of the set of pictures.
        images: Names of its pictures, in the order in which they are shown; what they are relative to, the set knows.
        text: The question.
        options: 2 to 26 texts.
        letter: The right one, from A. It alone counts: ``answer`` need be no option's text.
        answer: What the file gives as the answer, in words.
        description: What the task is about, the files' ``prepend_text``; empty where there is none.
        instruction: How to answer, the files' ``postpend_text``.
        context: What a question of tools is about, the catalogue of functions; empty for the others.
        image_count: Whether it has pictures; of ``zero`` the picture is black, and there to be ignored.
        template: Questions of one template are worded alike, so that they are not independent of one another.
        groups: What is known of the people in its pictures, by kind: ``{"gender": "female"}``.
    """

    key: str
    category: str
    task: str
    dataset: str
    images: tuple[str, ...]
    text: str
    options: tuple[str, ...]
    letter: str
    answer: str = ""
    description: str = ""
    instruction: str = ""
    context: str = ""
    image_count: ImageCount = "single"
    template: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def letters(self) -> str:
        """Letters of its options.

        Example:
            >>> Question("a/1", "c", "t", "d", (), "Who?", ("he", "she"), "B").letters
            'AB'
        """
        return LETTERS[: len(self.options)]

    @property
    def right_option(self) -> str:
        """Words of the right option."""
        return self.options[LETTERS.index(self.letter)]


class QuestionBatch(TypedDict):
    """One batch of B questions.

    Attributes:
        question: The questions, options in the order in which they are asked.
        image: Pictures of each question, uint8 ``(3, H, W)`` of any size, RGB.
        image_hash: SHA-256 of the pixels of each.
        rotation: By how many places the options of each were moved on, int64 ``(B,)``.
        index: Row in its split, int64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
        error: Why pictures of each could not be read, empty where they could; such a question is not valid. Only where
            there is one.
    """

    question: list[Question]
    image: list[list[Tensor]]
    image_hash: list[list[str]]
    rotation: Tensor
    index: Tensor
    valid: Tensor
    error: NotRequired[list[str]]
