"""Rows of scored videos, in csv and JSON lines: the form that a prediction and an exported network share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from callbacks.figures.plain import read_json_lines
from datamodules.common.atomic_write import flush_row, write_text
from datamodules.tables.csv import CsvRows, csv_text
from datamodules.video_quality.batch import VideoRecord

FIELDS = (
    "file", "status", "score_raw", "score_1_5", "seconds", "clips", "score_std", "frames_decoded", "frames_announced",
    "width", "height", "fps", "duration", "upsampled", "transfer", "reader", "error",
)  # fmt: skip
SCORES = ("score_raw", "score_1_5", "score_std")


def score_row(
    record: VideoRecord, key: str, seconds: float, clips: int = 0, scores: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The row of one video.

    Args:
        record: What is known of the file.
        key: What its score depends on.
        seconds: Time that the network took; the record has that of reading.
        clips: Clips that were scored.
        scores: Each of ``SCORES``, NaN where there is none; None for a file that could not be read.
    """
    row: dict[str, Any] = dict.fromkeys(FIELDS, "")
    row |= {name: value for name, value in record.items() if name in FIELDS}
    row |= {"file": record["path"], "seconds": round(record["seconds"] + seconds, 4), "key": key}
    if scores is not None:
        row["clips"] = clips
        row |= {name: value if value == value else "" for name, value in scores.items()}  # NaN: there is no such score
    return row


def append_score(files: Sequence[IO[str]], row: dict[str, Any]) -> None:
    """Write a row to open files, csv or JSON lines by their names, and flush it to the disk."""
    for file in files:
        if file.name.endswith(".csv"):
            CsvRows(file).writerow([row[name] for name in FIELDS])
        else:
            file.write(json.dumps(row) + "\n")
        flush_row(file)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line cut off by a crash is left out."""
    return read_json_lines(path, dict[str, Any], "not JSON")


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write ``rows`` to ``scores.csv`` and ``scores.jsonl``, each whole or not at all."""
    write_text(folder / "scores.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    # an older version knew fewer columns
    rows_of = ([row.get(name, "") for name in FIELDS] for row in rows)
    write_text(folder / "scores.csv", csv_text(FIELDS, rows_of))
