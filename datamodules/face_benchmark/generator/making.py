"""Questions of as many tasks as the labels of faces allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from torch import Tensor

from datamodules.common.progress import file_progress
from datamodules.face_benchmark.batch import LETTERS, TASKS, Question
from datamodules.face_benchmark.generator import attributes, localisation, recognition, tools
from datamodules.face_benchmark.generator.demographics import task_of
from datamodules.face_benchmark.generator.made import Task
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import draw, faces_of

_INSTRUCTION: Final = "Please answer the question and provide only the correct option letter, e.g., A, B, C, D."
_TASKS: Final[Mapping[str, Task]] = {
    "age": task_of("age"),
    "gender": task_of("gender"),
    "race": task_of("race"),
    "hr_fr": recognition.HIGH,
    "lr_fr": recognition.LOW,
    "celebrity_identification": recognition.CELEBRITY,
    "attributes": attributes.TASK,
    "expression": task_of("expression"),
    "headpose": localisation.HEADPOSE,
    "segmentation": localisation.SEGMENTATION,
    "crowd_counting": localisation.CROWD,
    "tools_retrieval": tools.TASK,
}
# Tasks that no labels of faces allow.
_NEVER: Final = {"fas": "pictures of attacks", "deepfakes": "pictures of generated faces beside real ones"}


class Questions(NamedTuple):
    """What could be made.

    Attributes:
        questions: As many of each task.
        lacking: What faces lack for each of the other tasks.
    """

    questions: Sequence[Question]
    lacking: Mapping[str, str]


def make_questions(
    pool: FacePool, number: int, seed: int, split: str, tasks: Collection[str] | None = None
) -> Questions:
    """Make questions; each depends on the seed, the split, its task and its number alone.

    Args:
        pool: Faces.
        number: Questions of a task, its templates in turns.
        seed: Of what is drawn.
        split: Whose people these are.
        tasks: Of which some are to be made; None makes all.
    """
    lacking = {name: task.lacks(pool) for name, task in _TASKS.items()} | _NEVER
    wanted = [name for name in TASKS if not lacking.get(name) and (tasks is None or name in tasks)]
    made = []
    with file_progress("Making questions", number * len(wanted)) as done:
        for name in wanted:
            for place in range(number):
                random = Random(f"{seed}/{split}/{name}/{place}")  # no secret
                made.append(_question(pool, name, _TASKS[name], place, random))
                done()
    return Questions(made, {name: why for name, why in lacking.items() if why})


def _question(pool: FacePool, name: str, task: Task, place: int, random: Random) -> Question:
    kind = place % len(task.templates)
    made = task.templates[kind](pool, random)
    order = list(range(len(made.options)))
    random.shuffle(order)
    options = tuple(made.options[one] for one in order)
    letter = LETTERS[order.index(made.right)]
    return Question(
        key=f"{pool.dataset}_{name}/{place + 1}",
        category=TASKS[name][1],
        task=name,
        dataset=pool.dataset,
        images=tuple(made.images),
        text=made.text,
        options=options,
        letter=letter,
        answer=made.options[made.right],
        description=task.description,
        instruction=_INSTRUCTION,
        context=tools.CONTEXT if name == "tools_retrieval" else "",
        image_count="zero" if name == "tools_retrieval" else "single" if len(made.images) == 1 else "multiple",
        template=f"{name}/{kind}",
        groups=pool.groups(made.rows),
    )


class QuestionsOfFaces:
    """Questions made from faces, whose pictures are drawn when they are asked for.

    Args:
        pool: Faces.
        made: What could be made.
    """

    def __init__(self, pool: FacePool, made: Questions) -> None:
        self.questions = made.questions
        self.lacking = made.lacking
        self._pool = pool

    def pictures(self, question: Question) -> list[Tensor]:
        """Pictures of a question."""
        return [draw(name, self._pool) for name in question.images]

    def prepare(self, questions: Sequence[Question]) -> None:
        """Draw their faces together."""
        self._pool.prepare(row for question in questions for name in question.images for row in faces_of(name))
