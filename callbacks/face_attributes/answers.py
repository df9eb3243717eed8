"""What a network says of faces, and the two lists of it: the form that a prediction and an exported network share."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import number_of
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
        error: Why the picture could not be read; empty where it could.
    """

    row: int
    file: str
    decision: list[int | None]
    probability: list[float | None]
    error: str = ""


def no_answer(row: int, file: str, attributes: int, error: str) -> FaceAnswer:
    """The answer for a picture that could not be read, an empty row with the reason."""
    return FaceAnswer(row, file, [None] * attributes, [None] * attributes, error)


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

    Where pictures could not be read, the lists have a column ``error`` with the reason.

    Args:
        folder: Where.
        names: Attributes in the order of the answers.
        answers: One a face.
    """
    errors = [answer.error for answer in answers]
    write_text(folder / DECISIONS, list_text(names, [(answer.file, answer.decision) for answer in answers], errors))
    probabilities = [(answer.file, answer.probability) for answer in answers]
    write_text(folder / PROBABILITIES, list_text(names, probabilities, errors))
    columns = zip(*(answer.decision for answer in answers if not answer.error), strict=True)
    empty = [name for name, values in zip(names, columns, strict=False) if set(values) == {None}]
    if empty:
        log.info("empty, since no training face had a label for them: %s", ", ".join(empty))
    failed = sum(map(bool, errors))
    told = f", {failed} not readable" if failed else ""
    log.info("%s%s: %s", number_of(len(answers) - failed, "face"), told, folder / DECISIONS)


def list_text(
    names: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]], errors: Sequence[str] = ()
) -> str:
    """A csv list: file, then a column an attribute; None is an empty field. Errors, if any, make a last column.

    Example:
        >>> print(list_text(["Smiling", "Bald"], [("a.png", [1, 0])]), end="")
        file,Smiling,Bald
        a.png,1,0
    """
    if not any(errors):
        return csv_text(["file", *names], ([file, *values] for file, values in rows))
    told = zip(rows, errors, strict=True)
    return csv_text(["file", *names, "error"], ([file, *values, error] for (file, values), error in told))
