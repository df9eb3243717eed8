"""What a network says of faces, and the two lists of it: the form that a prediction and an exported network share."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.common.atomic_write import write_text
from datamodules.faces.schema import MISSING
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

DECISIONS, PROBABILITIES = "attributes.csv", "probabilities.csv"


class FaceAnswer(NamedTuple):
    """What is said of one face.

    Attributes:
        row: Its row in the data.
        file: Its picture.
        decision: 1 or 0 for each attribute; None of which nothing can be said.
        probability: Of each attribute, None as above.
    """

    row: int
    file: str
    decision: list[int | None]
    probability: list[float | None]


def face_answer(row: int, file: str, decision: Sequence[int], probability: Sequence[float]) -> FaceAnswer:
    """The answer for one face; -1 and NaN mark attributes of which nothing can be said."""
    return FaceAnswer(
        row,
        file,
        [None if value == MISSING else value for value in decision],
        [None if math.isnan(value) else round(value, 4) for value in probability],
    )


def write_answers(folder: Path, names: Sequence[str], answers: Sequence[FaceAnswer]) -> None:
    """Write both lists, each whole or not at all, and say what stays empty.

    Args:
        folder: Where.
        names: Attributes in the order of the answers.
        answers: One a face.
    """
    write_text(folder / DECISIONS, list_text(names, [(answer.file, answer.decision) for answer in answers]))
    write_text(folder / PROBABILITIES, list_text(names, [(answer.file, answer.probability) for answer in answers]))
    columns = zip(*(answer.decision for answer in answers), strict=True)
    empty = [name for name, values in zip(names, columns, strict=False) if set(values) == {None}]
    if empty:
        log.info("empty, since no training face had a label for them: %s", ", ".join(empty))
    log.info("%d faces: %s", len(answers), folder / DECISIONS)


def list_text(names: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """A csv list: file, then a column an attribute; None is an empty field.

    Example:
        >>> print(list_text(["Smiling", "Bald"], [("a.png", [1, 0])]), end="")
        file,Smiling,Bald
        a.png,1,0
    """
    return csv_text(["file", *names], ([file, *values] for file, values in rows))
