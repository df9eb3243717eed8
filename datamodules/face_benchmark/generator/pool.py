"""Labelled faces that questions are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from datamodules.faces.dataset import FaceSource
from datamodules.faces.renderer.parameters import CATEGORIES, FaceParameters
from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema, normalised

UNKNOWN: Final = ""
_TOGETHER: Final = 64  # faces that are drawn at once
_MOST_BYTES: Final = 1 << 29  # of drawn faces that are held
_MALE: Final = "male"
_AGE: Final = "age "  # what names of age groups begin with
# Attributes that say what a face expresses, by their spelling.
_EXPRESSIONS: Final = {
    "smiling": "smiling", "frowning": "frowning", "happy": "happy", "happiness": "happy", "sad": "sad",
    "sadness": "sad", "surprise": "surprised", "surprised": "surprised", "fear": "afraid", "disgust": "disgusted",
    "anger": "angry", "angry": "angry", "contempt": "contemptuous", "neutral": "neutral",
}  # fmt: skip


class FacePool:
    """N faces of a split, and what is known of each.

    Args:
        source: Of the faces.
        schema: Of its attributes.
        parameters: Of drawn faces, which show their gender, their parts and their tilt; None for pictures.
        dataset: Name of the set of pictures.

    Attributes:
        attributes: int8 ``(N, K)``: 1 present, 0 absent, -1 missing.
        names: Of the K attributes.
        people: Name of each person, empty where unknown.
    """

    def __init__(
        self, source: FaceSource, schema: AttributeSchema, parameters: FaceParameters | None, dataset: str
    ) -> None:
        table = source.table()
        self.dataset = dataset
        self.parameters = parameters
        self.attributes = table.attributes
        self.names = schema.attributes
        self.people: Sequence[str] = table.identities
        self._schema = schema
        self._source = source
        self._held: dict[int, Tensor] = {}

    def __len__(self) -> int:
        """Number of faces."""
        return len(self._source)

    def picture(self, row: int) -> Tensor:
        """One face, uint8 ``(3, S, S)``.

        Raises:
            ImageError: If its file cannot be read.
        """
        held = self._held.get(row)
        return self._pictures([row])[0] if held is None else held

    def prepare(self, rows: Iterable[int]) -> None:
        """Draw faces together, which is several times as fast, and hold them; of pictures nothing is held."""
        wanted = list(dict.fromkeys(rows))
        if self.parameters is None or not wanted:
            return
        missing = [row for row in wanted if row not in self._held]
        for start in range(0, len(missing), _TOGETHER):
            own = missing[start : start + _TOGETHER]
            self._held |= {row: picture.clone() for row, picture in zip(own, self._pictures(own), strict=True)}
        for row in wanted:
            self._held[row] = self._held.pop(row)  # to the end, so that those go first that were not asked for lately
        room = max(len(wanted), _MOST_BYTES // self._held[wanted[0]].nbytes)
        for row in list(self._held)[: max(0, len(self._held) - room)]:
            del self._held[row]

    def _pictures(self, rows: Sequence[int]) -> Tensor:
        index = torch.tensor(rows)
        return self._source.batch(index, torch.ones(len(rows), dtype=torch.bool), 0)["image"]

    @cached_property
    def facts(self) -> Mapping[str, Sequence[str]]:
        """What is known of each face by kind: gender, age, race, expression; empty where it is not."""
        found = {
            "gender": self._genders(),
            "age": self._one_of(lambda name: name.lower().startswith(_AGE)),
            "race": self._one_of(lambda name: name in self._head("race")),
            "expression": self._expressions(),
        }
        return {kind: values for kind, values in found.items() if any(values)}

    def rows(self, kind: str, value: str) -> Sequence[int]:
        """Faces of which this is known."""
        return self._rows[kind].get(value, [])

    def values(self, kind: str) -> Sequence[str]:
        """What faces are by a kind, in a fixed order."""
        return sorted(self._rows[kind]) if kind in self._rows else []

    @cached_property
    def photos(self) -> Mapping[str, Sequence[int]]:
        """Pictures of each person who has several."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, person in enumerate(self.people):
            if person:
                found[person].append(row)
        return {person: rows for person, rows in found.items() if len(rows) > 1}

    def groups(self, rows: Sequence[int]) -> dict[str, str]:
        """Gender and race of the people in some pictures, where all are of one."""
        found = {}
        for kind in ("gender", "race"):
            values = {self.facts[kind][row] for row in rows} if kind in self.facts else set()
            if len(values) == 1 and UNKNOWN not in values:
                found[kind] = values.pop()
        return found

    @cached_property
    def _rows(self) -> Mapping[str, Mapping[str, list[int]]]:
        found: dict[str, dict[str, list[int]]] = {}
        for kind, values in self.facts.items():
            own: dict[str, list[int]] = defaultdict(list)
            for row, value in enumerate(values):
                if value != UNKNOWN:
                    own[value].append(row)
            found[kind] = dict(own)
        return found

    def _genders(self) -> Sequence[str]:
        if self.parameters is not None:
            return drawn_genders(self.parameters)
        column = next((place for place, name in enumerate(self.names) if normalised(name) == _MALE), None)
        words = {PRESENT: "male", ABSENT: "female"}
        return [] if column is None else [words.get(one, UNKNOWN) for one in self.attributes[:, column].tolist()]

    def _expressions(self) -> Sequence[str]:
        if self.parameters is not None:
            words = {"frown": "frowning", "neutral": "neutral", "smile": "smiling"}
            names = [words[name] for name in CATEGORIES["expression"]]
            return [names[number] for number in self.parameters.expression.tolist()]
        named = {
            place: _EXPRESSIONS[normalised(n)] for place, n in enumerate(self.names) if normalised(n) in _EXPRESSIONS
        }
        return self._exactly_one(named) if len(named) > 1 else []

    def _one_of(self, is_one: Callable[[str], bool]) -> Sequence[str]:
        named = {place: name.removeprefix("Age ") for place, name in enumerate(self.names) if is_one(name)}
        return self._exactly_one(named) if len(named) > 1 else []

    def _exactly_one(self, named: Mapping[int, str]) -> Sequence[str]:
        columns = self.attributes[:, list(named)] == PRESENT
        words = list(named.values())
        return [words[int(row.nonzero()[0])] if int(row.sum()) == 1 else UNKNOWN for row in columns]

    def _head(self, name: str) -> Sequence[str]:
        return next((head.attributes for head in self._schema.heads if head.name == name), ())


def drawn_genders(parameters: FaceParameters) -> list[str]:
    """What a drawn face is by the signs that pictures of men and women are drawn with; empty where they are mixed.

    A man has a beard, a moustache or a shadow of one, short hair, and no lipstick or make-up; a woman has long hair,
    lipstick or make-up, and no hair on the face.
    """
    p = parameters
    bearded = ~p.is_("beard", "none") | p.mustache | p.shadow
    painted = p.lipstick | p.makeup
    male = bearded & ~painted & ~p.long_hair
    female = p.long_hair & painted & ~bearded
    return ["male" if m else "female" if f else UNKNOWN for m, f in zip(male.tolist(), female.tolist(), strict=True)]
