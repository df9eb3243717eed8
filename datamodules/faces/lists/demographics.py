"""Gender, age and group of faces as attributes, as lists of these three have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema, normalised

Marks = Mapping[str, bool]  # whether a face shows an attribute; one that is not named is missing
_STARTS = (0, 3, 10, 20, 30, 40, 50, 60, 70)  # of FairFace's ages, in years
AGES = (
    "Age 0-2", "Age 3-9", "Age 10-19", "Age 20-29", "Age 30-39", "Age 40-49", "Age 50-59", "Age 60-69",
    "Age 70 and more",
)  # fmt: skip


def one_of(names: Sequence[str], shown: str) -> dict[str, bool]:
    """Marks of names of which a face shows one.

    Example:
        >>> one_of(["Black", "White"], "White")
        {'Black': False, 'White': True}
    """
    return {name: name == shown for name in names}


def age_of(years: float) -> dict[str, bool]:
    """Marks of `AGES` for an age in years.

    Example:
        >>> [name for years in (9.5, 99) for name, shown in age_of(years).items() if shown]
        ['Age 3-9', 'Age 70 and more']
    """
    place = max(place for place, start in enumerate(_STARTS) if years >= start)
    return one_of(AGES, AGES[place])


def marked(rows: Sequence[Marks], schema: AttributeSchema, source: str) -> NDArray[np.int8]:
    """Labels of faces in the order of a schema, int8 ``(N, K)``; what the marks do not name is missing.

    Args:
        rows: Marks of each face.
        schema: The attributes.
        source: List, for the message.

    Raises:
        LabelError: If the schema has none of the marks.
    """
    places = {normalised(name): place for place, name in enumerate(schema.attributes)}
    labels = np.full((len(rows), len(places)), MISSING, dtype=np.int8)
    named: set[str] = set()
    for row, marks in enumerate(rows):
        for name, shown in marks.items():
            named.add(name)
            if (place := places.get(normalised(name))) is not None:
                labels[row, place] = PRESENT if shown else ABSENT
    if named and not any(normalised(name) in places for name in named):
        raise LabelError(
            f"{source} tells {', '.join(sorted(named))}, and the schema has none of these: leave attribute_schema out "
            "to take the one of this list"
        )
    return labels
