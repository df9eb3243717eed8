"""Attributes of faces by an exported classifier: the crop, the graph, and the two lists of ``predict``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.face_attributes.answers import FaceAnswer, face_answer, no_answer, write_answers
from datamodules.common.errors import ImageError
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.faces.lists.index import images_at
from datamodules.faces.schema import MISSING
from datamodules.images.upright import read_picture
from lightning_modules.commands.exported.manifest import Manifest
from lightning_modules.commands.exported.outcome import Outcome
from lightning_modules.commands.exported.session import Array, Graph

log = logging.getLogger("appraise")


def inputs(facts: Mapping[str, Any], place: str) -> Iterator[dict[str, Array]]:
    """What the graph takes of each readable picture, a batch of one."""
    for path, _ in images_at([place]):
        try:
            yield {"image": _face(facts, path)[None]}
        except ImageError as error:
            log.warning("warning: %s", error)


def run(graph: Graph, manifest: Manifest, place: str, output: Path, sha256: str) -> Outcome:
    """Say the attributes of each picture of a place; of one that cannot be read the row stays empty.

    Returns:
        How many pictures could be read, and how many not.
    """
    facts = manifest.facts
    answers: list[FaceAnswer] = []
    failed = 0
    for row, (path, name) in enumerate(images_at([place])):
        try:
            face = _face(facts, path)
        except ImageError as error:
            log.warning("warning: %s", error)
            failed += 1
            answers.append(no_answer(row, name, len(facts["attributes"]), str(error)))
            continue
        said = known_answers(facts, graph({"image": face[None]}))
        answers.append(face_answer(row, name, said["decision"][0].tolist(), said["probability"][0].tolist()))
    write_answers(output, facts["attributes"], answers)
    return Outcome(len(answers) - failed, failed)


def known_answers(facts: Mapping[str, Any], said: Mapping[str, Array]) -> dict[str, Array]:
    """Answers without those for attributes that no training face had a label for."""
    untold = np.isin(facts["attributes"], facts["unlabelled"])
    return {
        "decision": np.where(untold, MISSING, said["decision"]),
        "probability": np.where(untold, np.nan, said["probability"]),
    }


def _face(facts: Mapping[str, Any], path: Path) -> NDArray[np.uint8]:
    """One face, uint8 ``(3, S, S)``: the largest square in the middle of the upright picture."""
    picture = read_picture(path)
    return cut_face(picture, square_of(None, picture.size, 0.0), facts["image_size"])
