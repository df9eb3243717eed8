"""Splits by person: the pictures of one person share most of their attributes, and parting them measures memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError
from datamodules.common.splits import set_aside
from datamodules.faces.lists.records import SPLITS, FaceList, SplitName
from datamodules.faces.lists.settings import FaceListSettings


def split_faces(faces: FaceList, settings: FaceListSettings) -> dict[SplitName, FaceList]:
    """Give each face its split.

    A list that names train, val and test is taken at its word; one that names no val gives people of its train to
    validation; one that names no split at all is split in three. People are ordered by a hash of the seed and their
    name. Of a list too short for all three, training comes first, then validation.

    Raises:
        LabelError: If only some faces name a split, a picture is in two, or a person is though ``identity_disjoint``.
    """
    splits = _assign(faces, settings)
    judged = _judges(faces, splits, settings)
    rows: dict[SplitName, NDArray[np.int64]] = {}
    for split in SPLITS:
        chosen = np.array([own == split for own in splits], dtype=bool)
        if split == "train" and settings.judge_share > 0:
            chosen &= judged if settings.fit_on == "judge" else ~judged
        rows[split] = np.flatnonzero(chosen)
    return {split: faces.take(places) for split, places in rows.items()}


def check_people(faces: FaceList, splits: Sequence[SplitName]) -> None:
    """Raise ``LabelError`` unless each person is in one split."""
    sides: dict[str, tuple[SplitName, str]] = {}
    for person, split, source in zip(faces.identities, splits, faces.sources, strict=True):
        if not person:
            continue
        known, where = sides.setdefault(person, (split, source))
        if known != split:
            raise LabelError(
                f"{source}: {person} is in {split}, but in {known} at {where}; keep all pictures of a person in one "
                "split, or set identity_disjoint to false and measure memory too"
            )


def check_pictures(faces: FaceList, splits: Sequence[SplitName]) -> None:
    """Raise ``LabelError`` unless each picture is in one split, whatever its spelling."""
    sides: dict[str, tuple[SplitName, str]] = {}
    for path, name, split, source in zip(faces.paths, faces.names, splits, faces.sources, strict=True):
        known, where = sides.setdefault(path, (split, source))
        if known != split:
            raise LabelError(
                f"{source}: the picture {name} is in {split}, but in {known} at {where}; a model would be tested on "
                "what it learnt, drop one of the two"
            )


def _assign(faces: FaceList, settings: FaceListSettings) -> list[SplitName]:
    named = [split for split in faces.splits if split is not None]
    if 0 < len(named) < len(faces):
        row = next(row for row, split in enumerate(faces.splits) if split is None)
        raise LabelError(f"{faces.sources[row]}: no split, but other rows name one; name it in every row or in none")
    given: list[SplitName] = [split or "train" for split in faces.splits]
    check_pictures(faces, given)
    if settings.identity_disjoint:
        check_people(faces, given)
    _, val, test = settings.split
    wanted: dict[SplitName, float] = {"val": val, "test": test}
    if named:
        wanted = {} if "val" in named else {"val": val}
    people = _people(faces, settings)
    training = sorted({person for person, split in zip(people, given, strict=True) if split == "train"})
    moved = set_aside(training, {split: share for split, share in wanted.items() if share > 0}, settings.split_seed)
    return [
        moved.get(person, "train") if split == "train" else split for person, split in zip(people, given, strict=True)
    ]


def _judges(faces: FaceList, splits: Sequence[SplitName], settings: FaceListSettings) -> NDArray[np.bool_]:
    """Faces of the training people that are kept for judges, bool ``(N,)``."""
    if settings.judge_share == 0:
        return np.zeros(len(faces), dtype=bool)
    people = _people(faces, settings)
    training = sorted({person for person, split in zip(people, splits, strict=True) if split == "train"})
    kept = set_aside(training, {"test": settings.judge_share}, f"{settings.split_seed} judges")
    return np.array([person in kept for person in people], dtype=bool)


def _people(faces: FaceList, settings: FaceListSettings) -> list[str]:
    """What stays whole: the person, or the picture where nobody is named or persons may be parted."""
    if not settings.identity_disjoint:
        return [f"\0{name}" for name in faces.names]
    return [person or f"\0{name}" for person, name in zip(faces.identities, faces.names, strict=True)]
