"""What the published benchmark holds, and how a folder differs from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from datamodules.common.errors import number_of
from datamodules.face_benchmark.batch import TASKS, Question
from datamodules.summary.findings import Finding

# Narayan et al., table 1 and its supplement, as V. M. Patel's slides (IAPR/IEEE Winter School on Biometrics, 2025) show
# them: data set, task, questions on several pictures, on one, on none.
ROWS: Final[tuple[tuple[str, str, int, int, int], ...]] = (
    ("FairFace", "age", 200, 100, 0),
    ("UTKFace", "age", 150, 50, 0),
    ("FairFace", "gender", 200, 100, 0),
    ("UTKFace", "gender", 150, 50, 0),
    ("FairFace", "race", 200, 100, 0),
    ("UTKFace", "race", 150, 50, 0),
    ("LFW", "hr_fr", 60, 0, 0),
    ("AgeDB", "hr_fr", 100, 0, 0),
    ("CFP-FF", "hr_fr", 60, 0, 0),
    ("CFP-FP", "hr_fr", 60, 0, 0),
    ("CALFW", "hr_fr", 60, 0, 0),
    ("CPLFW", "hr_fr", 60, 0, 0),
    ("TinyFace", "lr_fr", 100, 0, 0),
    ("IMDB", "celebrity_identification", 150, 150, 0),
    ("WMCA", "fas", 100, 150, 0),
    ("MSU-MFSD", "fas", 50, 0, 0),
    ("CASIA-MFSD", "fas", 50, 0, 0),
    ("ReplayAttack", "fas", 50, 0, 0),
    ("CelebDF", "deepfakes", 150, 0, 0),
    ("FF++", "deepfakes", 150, 0, 0),
    ("CelebA", "attributes", 200, 200, 0),
    ("RAF-DB", "expression", 100, 100, 0),
    ("AffectNet", "expression", 100, 100, 0),
    ("AFLW2000", "headpose", 50, 150, 0),
    ("BIWI", "headpose", 50, 150, 0),
    ("JHUCrowd++", "crowd_counting", 0, 200, 0),
    ("ShanghaiTech", "crowd_counting", 0, 100, 0),
    ("CelebAMask-HQ", "segmentation", 0, 200, 0),
    ("LaPa", "segmentation", 0, 200, 0),
    ("FaceXAPI", "tools_retrieval", 0, 0, 100),
)
QUESTIONS: Final = 5000
IMAGES: Final = 11266
UNIQUE_IMAGES: Final = 10441
ANSWERS: Final = {"A": 1278, "B": 1332, "C": 1189, "D": 1201}
_OTHER_NAMES: Final = {"agedb30": "agedb", "gpt4o": "facexapi", "jhucrowd": "jhucrowd++"}  # as files write them
_NOT_STATED: Final = "no licence of the questions is stated, and the sets of pictures have their own"


def spelling(dataset: str) -> str:
    """Name of a data set as it is compared.

    Example:
        >>> spelling("MSU-MFSD"), spelling("gpt4o"), spelling("ff++")
        ('msumfsd', 'facexapi', 'ff++')
    """
    plain = re.sub(r"[^a-z0-9+]", "", dataset.lower())
    return _OTHER_NAMES.get(plain, plain)


def differences(questions: Sequence[Question], unique_images: int | None = None) -> list[Finding]:
    """Every count in which questions differ from the published ones; one line that all is as published where none do.

    Args:
        questions: All of a folder.
        unique_images: Different pictures among theirs; None where they were not looked at.
    """
    found = [_differs(*one) for one in _totals(questions, unique_images) if one[1] != one[2]]
    counted = Counter((spelling(one.dataset), one.task, one.image_count) for one in questions)
    for dataset, task, *numbers in ROWS:
        held = [counted.pop((spelling(dataset), task, kind), 0) for kind in ("multiple", "single", "zero")]
        if held != numbers:
            text = f"{dataset}, {TASKS[task][0]}: questions on several pictures, one, none: {held}, published {numbers}"
            found.append(Finding("warning", "published", text))
    for (dataset, task, kind), number in sorted(counted.items()):
        count = number_of(number, "question")
        found.append(Finding("warning", "published", f"{count} of {dataset}, {task}, {kind}: not published"))
    if not found:
        found.append(Finding("ok", "published", f"all counts are those of FaceXBench as published; {_NOT_STATED}"))
    return found


def _totals(questions: Sequence[Question], unique_images: int | None) -> list[tuple[str, int, int]]:
    answers = Counter(question.letter for question in questions)
    kinds = Counter(question.image_count for question in questions)
    totals = [
        ("questions", len(questions), QUESTIONS),
        ("questions on several pictures", kinds["multiple"], sum(row[2] for row in ROWS)),
        ("questions on one picture", kinds["single"], sum(row[3] for row in ROWS)),
        ("questions on none", kinds["zero"], sum(row[4] for row in ROWS)),
        ("pictures in all questions", sum(len(one.images) for one in questions), IMAGES),
        *((f"answers {letter}", answers[letter], number) for letter, number in ANSWERS.items()),
    ]
    return totals if unique_images is None else [*totals, ("different pictures", unique_images, UNIQUE_IMAGES)]


def _differs(what: str, held: int, published: int) -> Finding:
    return Finding("warning", "published", f"{what}: {held}, published {published}")
