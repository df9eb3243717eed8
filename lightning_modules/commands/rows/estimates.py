"""Means over seeds with their intervals, as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from scipy import stats

from callbacks.figures.plain import markdown_table, shown
from datamodules.tables.csv import csv_text


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


Column = tuple[str, str, int]  # header, name of the value, digits after the point


def used_columns(rows: RowValues, columns: Sequence[Column]) -> list[Column]:
    """The columns that at least one row has a value for."""
    return [column for column in columns if any(column[1] in values for seeds in rows.values() for values in seeds)]


def markdown(rows: RowValues, columns: Sequence[Column]) -> str:
    """The table in Markdown, a row a training, with the columns that some row has a value for.

    Args:
        rows: Values of each seed, by the title of the row.
        columns: Those that there may be.

    Example:
        >>> columns = [("mAP new", "map_new", 3), ("seconds", "seconds", 0)]
        >>> print(markdown({"baseline": [{"map_new": 0.5}, {"map_new": 0.7}]}, columns))
        | row | mAP new |
        | --- | --- |
        | baseline | 0.600 ± 1.271 |
    """
    used = used_columns(rows, columns)
    lines = [
        [title, *(estimate([one.get(name, math.nan) for one in seeds]).text(digits) for _, name, digits in used)]
        for title, seeds in rows.items()
    ]
    return markdown_table(["row", *(header for header, _, _ in used)], lines).removesuffix("\n")


def per_seed_csv(rows: RowValues, seeds: Sequence[int]) -> str:
    """All values, a line for each row and seed, as csv text."""
    names = sorted({name for values in rows.values() for value in values for name in value})
    lines = (
        [title, seed, *(value.get(name, "") for name in names)]
        for title, values in rows.items()
        for seed, value in zip(seeds, values, strict=False)  # a stopped loop has fewer values than seeds
    )
    return csv_text(["row", "seed", *names], lines)


def differences(rows: RowValues, against: str) -> RowValues:
    """Values of each row less those of one, seed by seed: what seeds share is taken off.

    Example:
        >>> rows = {"a": [{"kid": 0.5}, {"kid": 0.7}], "b": [{"kid": 0.75}, {"kid": 1.0}]}
        >>> {title: [round(one["kid"], 2) for one in seeds] for title, seeds in differences(rows, "a").items()}
        {'b': [0.25, 0.3]}
    """
    return {
        title: [
            {name: value - base[name] for name, value in one.items() if name in base}
            for one, base in zip(seeds, rows[against], strict=True)
        ]
        for title, seeds in rows.items()
        if title != against
    }
