"""Which calls of a catalogue do what is asked for: a question without a picture."""

from __future__ import annotations

from random import Random
from typing import Final

from datamodules.face_benchmark.generator.made import Made, Task
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import BLACK

_OPTIONS: Final = 4
_CALLS: Final = 4  # of an option
# What is asked for, and the call that does it.
_CATALOGUE: Final = (
    ("the face is found", "detect.find_faces"),
    ("the largest face is cut out", "detect.crop_largest"),
    ("the age is estimated", "age.predict_years"),
    ("the gender is told", "gender.predict"),
    ("the expression is told", "expression.classify"),
    ("it is checked that the face is no photograph of a photograph", "spoof.check_live"),
    ("it is checked that the face was not generated", "deepfake.check_real"),
    ("the person is looked up among known ones", "recognition.identify"),
    ("it is checked that two faces are of one person", "recognition.verify"),
    ("the tilt of the head is measured", "pose.measure_roll"),
    ("hair, skin and eyes are told apart", "parsing.label_regions"),
    ("the people in the picture are counted", "crowd.count"),
    ("attributes such as glasses are told", "attributes.list_present"),
)
CONTEXT: Final = "Ignore the black image.\nFunctions:\n" + "\n".join(
    f"{number}. {call}: {what}" for number, (what, call) in enumerate(_CATALOGUE, start=1)
)


def _calls(pool: FacePool, random: Random) -> Made:
    """Four sequences of as many calls are drawn alike, and one of them put into words."""
    drawn: list[tuple[int, ...]] = []
    while len(drawn) < _OPTIONS:
        sequence = tuple(random.sample(range(len(_CATALOGUE)), _CALLS))
        if sequence not in drawn:
            drawn.append(sequence)
    right = random.randrange(_OPTIONS)
    first, *others = (_CATALOGUE[number][0] for number in drawn[right])
    text = f"First {first}, then {', then '.join(others)}. Which sequence of calls does this?"
    return Made(text, [", ".join(_CATALOGUE[number][1] for number in one) for one in drawn], right, [BLACK], [])


TASK: Final = Task(
    "Tools retrieval selects the sequence of function calls that does what is asked for. You have to perform this "
    "task.",
    [_calls],
    lambda pool: "",
)
