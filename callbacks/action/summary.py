"""Results of a run over many sources: rows that outlive a stopped run, and the files that sum them up."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from callbacks.action.source_annotation import SourceResult
from callbacks.figures.plain import read_json_lines, without_nan
from datamodules.common.atomic_write import append_row, write_text
from datamodules.tables.csv import csv_text
from lightning_modules.action.segments.files import write_activitynet
from lightning_modules.action.segments.machine import Segment

ROWS = "summary.jsonl"
_COLUMNS = (
    "file", "name", "status", "started", "frames", "seconds", "segments", "dropped", "skipped", "agreement",
    "switches_raw", "switches", "transfer", "error",
)  # fmt: skip


def read_results(folder: Path) -> dict[str, SourceResult]:
    """Results of earlier runs by file or recording; a last line cut off by a crash is left out."""
    return {result.place: result for result in read_json_lines(folder / ROWS, _result, "no result")}


def append_result(folder: Path, result: SourceResult) -> None:
    """Keep a result, on the disk before anything else happens."""
    append_row(folder / ROWS, _line(result))


def write_results(folder: Path, results: Sequence[SourceResult], metrics: dict[str, float]) -> None:
    """Write ``segments.json`` (ActivityNet), ``summary.json``, ``summary.csv`` and the rows, each whole or not at all.

    The results are one for each source; the measures are over all of them.
    """
    write_text(folder / ROWS, "".join(f"{_line(one)}\n" for one in results))
    seen = [one for one in results if one.frames]
    durations = {one.name: one.seconds for one in seen}
    write_activitynet(folder / "segments.json", {one.name: one.segments for one in seen}, durations=durations)
    sources = [{**asdict(one), "segments": len(one.segments)} for one in results]
    for source in sources:
        del source["key"], source["tally"]
    content = without_nan({"sources": sources, "metrics": metrics})
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "summary.json", text + "\n")
    measured = sorted({name for one in results for name in one.metrics})
    columns = [*_COLUMNS, *measured]
    rows = [[_cell((source["metrics"] | source).get(name)) for name in columns] for source in sources]
    write_text(folder / "summary.csv", csv_text(columns, rows))


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Mean of the values that are numbers; NaN without any.

    Example:
        >>> weighted_mean([1.0, float("nan"), 4.0], [2, 5, 1])
        2.0
    """
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value == value and weight > 0]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else math.nan


def _result(row: dict[str, object]) -> SourceResult:
    known = {field.name for field in fields(SourceResult)}
    values = {name: value for name, value in row.items() if name in known}
    listed = values.pop("segments")
    if not isinstance(listed, list):
        raise TypeError("segments must be a list")
    for name in ("agreement", "switches_raw", "switches", "seconds"):
        values[name] = math.nan if values.get(name) is None else values[name]
    return SourceResult(**values, segments=[Segment(**one) for one in listed])  # type: ignore[arg-type]  # checked above


def _line(result: SourceResult) -> str:
    return json.dumps(without_nan(asdict(result)), ensure_ascii=False, allow_nan=False)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else ""
    return "" if value is None else value
