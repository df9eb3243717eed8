"""From the columns of a label list to present, absent and missing in the order of a schema."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema, normalised

_log = logging.getLogger(__name__)


class RealValues(NamedTuple):
    """How the real values of a list, outputs of attribute classifiers, become labels.

    Attributes:
        threshold: Value above which an attribute is present.
        margin: Distance from it below which nothing is said.
    """

    threshold: float = 0.0
    margin: float = 0.0

    def shifted(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of which those above 0 mean present."""
        return values - np.float32(self.threshold) if self.threshold else values


def attributes_of(values: NDArray[np.float32], missing_margin: float) -> NDArray[np.int8]:
    """Turn real values into labels: above 0 present, else absent; NaN or too near 0 missing.

    Args:
        values: Outputs of attribute classifiers, float32 ``(N, K)``; their size tells how sure each was.
        missing_margin: Absolute value below which nothing is said.

    Example:
        >>> attributes_of(np.array([[1.5, -0.2, np.nan]], dtype=np.float32), 0.5)
        array([[ 1, -1, -1]], dtype=int8)
    """
    unsure = np.isnan(values) | (np.abs(values) < missing_margin)
    return np.where(unsure, MISSING, np.where(values > 0, PRESENT, ABSENT)).astype(np.int8)


def match_columns(
    names: Sequence[str],
    schema: AttributeSchema,
    source: str,
    *,
    excluded: Collection[str] = (),
    complete: bool = True,
) -> list[int | None]:
    """Find the column of each attribute of a schema, however the list spells it.

    Args:
        names: Attribute columns of the list in their order.
        schema: The attributes wanted.
        source: List and line of the header, for messages.
        excluded: Attributes left out on purpose; their columns are passed over.
        complete: Every attribute needs a column, and further columns are only reported. Otherwise attributes without a
            column are missing, and a column that no attribute matches is an error: it is likely misspelt.

    Returns:
        For each attribute the place in ``names``, or None.

    Raises:
        LabelError: If a column is absent, unknown or there twice; the message gives the nearest names.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if normalised(name) in places:
            raise LabelError(f"{source}: the column {name} is there twice; drop one of the two")
        places[normalised(name)] = place
    wanted = {normalised(name): name for name in schema.attributes}
    absent = [name for key, name in wanted.items() if key not in places]
    if absent and complete:
        raise LabelError(
            f"{source}: there is no column for {_shown(absent)}: {_nearest(absent[0], names)}; give the schema of this "
            "list as attribute_schema, or leave attributes out with exclude_attributes"
        )
    passed = wanted.keys() | {normalised(name) for name in excluded}
    unknown = [name for name in names if normalised(name) not in passed]
    if unknown and not complete:
        raise LabelError(
            f"{source}: the schema has no attribute for the column {_shown(unknown)}: "
            f"{_nearest(unknown[0], schema.attributes)}; correct the header, or describe attributes of your own in a "
            "YAML file (heads: [{name: NAME, kind: binary, attributes: [NAME]}, ...]) and name it as attribute_schema"
        )
    if unknown:
        _log.info("%s: the columns %s are in no head of the schema and are not used", source, _shown(unknown))
    return [places.get(key) for key in wanted]


def take_columns(values: NDArray[np.float32], places: Sequence[int | None]) -> NDArray[np.float32]:
    """Columns in the order of a schema, float32 ``(N, K)``; NaN where the list has none."""
    chosen = np.full((len(values), len(places)), np.nan, dtype=np.float32)
    for column, place in enumerate(places):
        if place is not None:
            chosen[:, column] = values[:, place]
    return chosen


def warn_of_rare(attributes: NDArray[np.int8], schema: AttributeSchema) -> list[str]:
    """Name the attributes, int8 ``(N, K)``, that fewer than two faces show, or lack; not those never labelled."""
    present, absent = (attributes == PRESENT).sum(axis=0), (attributes == ABSENT).sum(axis=0)
    rare = [
        name
        for name, shown, not_shown in zip(schema.attributes, present.tolist(), absent.tolist(), strict=True)
        if shown + not_shown and min(shown, not_shown) < 2
    ]
    if rare:
        counts = {name: (int(present[schema.index(name)]), int(absent[schema.index(name)])) for name in rare}
        told = ", ".join(f"{name} ({shown} with, {not_shown} without)" for name, (shown, not_shown) in counts.items())
        _log.warning(
            "warning: too few training faces with or without %s: two of each are the least that can be learned from or "
            "measured; leave them out with exclude_attributes, or add faces",
            told,
        )
    return rare


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _nearest(name: str, known: Sequence[str]) -> str:
    keys = {normalised(other): other for other in known}
    near = [keys[key] for key in get_close_matches(normalised(name), list(keys), n=3, cutoff=0.5)]
    if near:
        return f"the nearest to {name} is {' or '.join(near)}"
    return f"nothing is near {name} among {_shown(known)}"
