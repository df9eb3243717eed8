"""What a measurement found, as rows that page, tables and other commands read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from lightning_modules.commands.measures.sets import Compared, PictureSet
from lightning_modules.nn.estimate import Estimate

Part = Literal["copies", "shares", "realism"]


class Row(NamedTuple):
    """One number.

    Attributes:
        part: Of the page.
        by: Embedder, judge or "labels".
        measure: What was measured, see `Measured`.
        of: Class or combination that it is of; empty for all pictures.
        estimate: The number with its interval and n.
    """

    part: Part
    by: str
    measure: str
    of: str
    estimate: Estimate


class Pairs(NamedTuple):
    """Each picture of a set with the training picture that it is most like, by one embedder.

    Attributes:
        similarity: float32 ``(N,)``.
        rows: Of the pictures in their set.
        nearest: Rows in the training set, ``(N,)``.
        copied: Whether each is judged a copy, bool ``(N,)``.
    """

    similarity: Tensor
    rows: list[int]
    nearest: list[int]
    copied: list[bool]


@dataclass
class Measured:
    """All numbers of a set of pictures.

    Measures of ``copies``, by embedder: ``similarity_mean``, ``similarity_sd``, ``similarity_p75``, ``_p90`` and
    ``_p95``, ``similarity_max``, ``similar`` (share above 0.5), ``copies`` (share above the threshold, less that of
    strangers), ``near_copies`` (share with d1/d2 < 1/3), ``threshold``. Of ``shares``, by judge or labels: ``share``
    and ``corrected_share`` of each class, ``amplification`` (less the training share), ``total_variation``, ``kl``,
    ``js``, ``max_over_min``, ``joint_share`` of each combination. Of ``realism``, by embedder: ``kid``, ``fid``,
    ``precision``, ``recall``, ``class_kid`` and ``spread`` (of each class, and with ``of`` empty their mean), and
    ``pixel_spread`` by "pixels".

    Attributes:
        pictures: The set.
        read: Pictures of it that could be read.
        rows: The numbers.
        pairs: Nearest training pictures by embedder.
        notes: What could not be measured, and why.
    """

    pictures: PictureSet
    read: int
    rows: list[Row] = field(default_factory=list)
    pairs: dict[str, Pairs] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.pictures.name

    def add(self, part: Part, by: str, measure: str, estimate: Estimate, of: str = "") -> None:
        """Add a number."""
        self.rows.append(Row(part, by, measure, of, estimate))

    def number(self, measure: str, of: str = "", by: str | None = None) -> Estimate | None:
        """A number by its name, of the first embedder or judge that has it; None where it was not measured."""
        for row in self.rows:
            if (row.measure, row.of) == (measure, of) and by in (None, row.by):
                return row.estimate
        return None

    def by(self, part: Part) -> list[str]:
        """Embedders, or judges, that measured a part."""
        return list(dict.fromkeys(row.by for row in self.rows if row.part == part))


@dataclass(frozen=True)
class Found:
    """A whole measurement.

    Attributes:
        sets: The folders.
        generated: Numbers of each set of made pictures.
        training: Of the training pictures: each beside the most similar other one.
        held_out: Of the held-out pictures; None where there are none.
        classes: Names of the classes.
        target: Their wanted shares.
        notes: How it was measured.
    """

    sets: Compared
    generated: list[Measured]
    training: Measured
    held_out: Measured | None
    classes: Sequence[str]
    target: Sequence[float]
    notes: list[str]

    @property
    def every(self) -> list[Measured]:
        """All sets, the made ones first."""
        return [*self.generated, self.training, *([self.held_out] if self.held_out else [])]

    @property
    def reference(self) -> Measured:
        """What realism is measured against."""
        return self.held_out or self.training
