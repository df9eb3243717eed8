"""The table at the end of `appraise mentor-loop`: means over seeds with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from scipy import stats

from callbacks.figures.plain import markdown_table, shown
from datamodules.tables.csv import csv_text

# Header, metric (or fact of the row), digits after the point.
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("mAP original", "test/map_original", 3),
    ("mAP new", "test/map_new", 3),
    ("P@.5", "test/precision_new", 3),
    ("R@.5", "test/recall_new", 3),
    ("P tuned", "test/precision_tuned_new", 3),
    ("R tuned", "test/recall_tuned_new", 3),
    ("box mAP new", "test/box_map_new", 3),
    ("false positives an image", "test/false_positives_per_image_new", 2),
    ("new ones", "test/new_false_positives_per_image_new", 2),
    ("operator minutes", "operator_minutes", 0),
    ("seconds", "seconds", 0),
)


class Estimate(NamedTuple):
    """A mean and the half-width of its 95 % interval (Student's t over the seeds); NaN for one seed.

    Example:
        >>> tuple(round(part, 3) for part in estimate([0.5, 0.6, 0.7]))
        (0.6, 0.248)
    """

    mean: float
    half_width: float

    def text(self, digits: int) -> str:
        """The estimate as ``0.612 ± 0.034``, the mean alone where there is no interval."""
        mean = shown(self.mean, digits)
        return mean if math.isnan(self.half_width) else f"{mean} ± {self.half_width:.{digits}f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of ``values`` and its 95 % interval; NaN where there is nothing to estimate from."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Estimate(math.nan, math.nan)
    if len(known) == 1:
        return Estimate(known[0], math.nan)
    half_width = float(stats.t.ppf(0.975, len(known) - 1)) * stdev(known) / math.sqrt(len(known))
    return Estimate(fmean(known), half_width)


RowValues = Mapping[str, Sequence[Mapping[str, float]]]  # title -> one mapping of values a seed


def used_columns(rows: RowValues) -> list[tuple[str, str, int]]:
    """The columns that at least one row has a value for."""
    return [column for column in COLUMNS if any(column[1] in values for seeds in rows.values() for values in seeds)]


def markdown(rows: RowValues) -> str:
    """The table in Markdown, a row a training.

    Args:
        rows: Values of each seed, by the title of the row.

    Example:
        >>> print(markdown({"baseline": [{"test/map_new": 0.5}, {"test/map_new": 0.7}]}))
        | row | mAP new |
        | --- | --- |
        | baseline | 0.600 ± 1.271 |
    """
    columns = used_columns(rows)
    lines = [
        [title, *(estimate([one.get(name, math.nan) for one in seeds]).text(digits) for _, name, digits in columns)]
        for title, seeds in rows.items()
    ]
    return markdown_table(["row", *(header for header, _, _ in columns)], lines).removesuffix("\n")


def per_seed_csv(rows: RowValues, seeds: Sequence[int]) -> str:
    """All values, a line for each row and seed, as csv text."""
    names = sorted({name for values in rows.values() for value in values for name in value})
    lines = (
        [title, seed, *(value.get(name, "") for name in names)]
        for title, values in rows.items()
        for seed, value in zip(seeds, values, strict=False)  # a stopped loop has fewer values than seeds
    )
    return csv_text(["row", "seed", *names], lines)
