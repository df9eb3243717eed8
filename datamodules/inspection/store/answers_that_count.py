"""Which answers count: the last of each annotator that was not taken back, joined over annotators."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

from datamodules.inspection.store.agreement import Agreement, majority, measure_agreement
from datamodules.inspection.store.rows import (
    ClassCount,
    EffectiveAnswer,
    MentoredImage,
    Progress,
    StoredRun,
    detection_of,
)
from datamodules.inspection.store.schema import IN_FORCE

_COUNTED = {"confirm": "confirmed", "reject": "rejected", "reclass": "reclassed"}


def in_force(connection: sqlite3.Connection, also: str = "", values: Sequence[str | int] = ()) -> list[sqlite3.Row]:
    """Answers in force, by id.

    Args:
        connection: An open store.
        also: Further condition in SQL on columns of ``answer``, beginning with AND; this package's own words.
        values: Its parameters.
    """
    rows = connection.execute(f"SELECT * FROM answer WHERE id IN ({IN_FORCE.format(also=also)}) ORDER BY id", values)
    return rows.fetchall()


def settled(connection: sqlite3.Connection, run_id: int, annotator: str) -> tuple[set[int], list[int]]:
    """Detections of a run that this annotator need not be asked about, and the skipped ones, first skipped first."""
    done: set[int] = set()
    skipped: list[int] = []
    healthy: list[int] = []
    drawn = {row["id"] for row in _drawn(connection, run_id)}
    for row in in_force(connection, "AND run_id = ? AND annotator = ?", (run_id, annotator)):
        if row["verdict"] == "healthy":
            healthy.append(row["image_id"])
        elif row["verdict"] == "skip":
            skipped += {row["detection_id"]} - drawn  # an area of which nothing is known is no question
        else:
            done.add(row["detection_id"])
    done |= {row["id"] for row in _on_images(connection, [run_id], healthy)}
    return done, [one for one in skipped if one not in done]


def open_questions(connection: sqlite3.Connection, run_id: int) -> int:
    """How many of the model's detections of a run nobody has looked at: neither answered nor skipped."""
    seen = {row["detection_id"] for row in in_force(connection, "AND run_id = ?", (run_id,))}
    seen |= set(votes(connection, [run_id]))  # those on images that were flagged healthy
    rows = connection.execute("SELECT id FROM detection WHERE run_id = ? AND origin = 'model'", (run_id,))
    return sum(row["id"] not in seen for row in rows)


def progress(connection: sqlite3.Connection, run: StoredRun, annotator: str) -> Progress:
    """Count questions and answers of one annotator in one run."""
    done, skipped = settled(connection, run.id, annotator)
    of_model: dict[int, str] = {}
    counts: dict[str, dict[str, int]] = {name: defaultdict(int) for name in run.class_names}
    for row in connection.execute("SELECT id, class FROM detection WHERE run_id = ? AND origin = 'model'", (run.id,)):
        of_model[row["id"]] = row["class"]
        counts.setdefault(row["class"], defaultdict(int))["detections"] += 1
    totals: dict[str, int] = defaultdict(int)
    for row in in_force(connection, "AND run_id = ? AND annotator = ?", (run.id, annotator)):
        if row["verdict"] == "healthy":
            totals["healthy"] += 1
        elif row["verdict"] in _COUNTED:
            drawn = row["detection_id"] not in of_model
            what = "missed" if drawn else _COUNTED[row["verdict"]]
            totals[what] += 1
            counts[row["class"] if drawn else of_model[row["detection_id"]]][what] += 1
    return Progress(
        detections=len(of_model),
        answered=sum(one in of_model for one in done),
        skipped=len(skipped),
        **{name: totals[name] for name in ("confirmed", "rejected", "reclassed", "missed", "healthy")},
        classes={name: ClassCount(**count) for name, count in counts.items()},
    )


def votes(connection: sqlite3.Connection, run_ids: Sequence[int]) -> dict[int, dict[str, str | None]]:
    """For each answered detection what each annotator says is there; None: no defect. Skipped ones are left out."""
    said: dict[int, dict[str, str | None]] = defaultdict(dict)
    healthy: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row in in_force(connection):
        if row["run_id"] not in run_ids:
            continue
        if row["verdict"] == "healthy":
            healthy[row["run_id"], row["annotator"]].append(row["image_id"])
        elif row["verdict"] != "skip":
            said[row["detection_id"]][row["annotator"]] = row["class"]
    for (run_id, annotator), image_ids in healthy.items():
        for row in _on_images(connection, [run_id], image_ids):
            said[row["id"]].setdefault(annotator, None)
    return dict(said)


def agreement(connection: sqlite3.Connection, run_ids: Sequence[int]) -> Agreement:
    """How far annotators agree in these runs."""
    return measure_agreement(
        (annotator, detection, truth)
        for detection, said in votes(connection, run_ids).items()
        for annotator, truth in said.items()
    )


def mentored_images(connection: sqlite3.Connection, run_ids: Sequence[int]) -> list[MentoredImage]:
    """Images with an answer in force in these runs, by path."""
    answers: dict[int, list[EffectiveAnswer]] = defaultdict(list)
    runs: dict[int, set[int]] = defaultdict(set)
    for detection_id, said in sorted(votes(connection, run_ids).items()):
        decided, truth = majority(said.values())
        if decided:
            row = connection.execute("SELECT * FROM detection WHERE id = ?", (detection_id,)).fetchone()
            found = detection_of(row)
            known = (found.id, found.run_id, found.shown_class, truth, found.box, found.rle)
            answers[found.image_id].append(EffectiveAnswer(*known, found.anchor_boxes, found.origin))
            runs[found.image_id].add(found.run_id)
    healthy: set[int] = set()
    for row in in_force(connection):
        if row["verdict"] == "healthy" and row["run_id"] in run_ids:
            healthy.add(row["image_id"])
            runs[row["image_id"]].add(row["run_id"])
    images = []
    for row in connection.execute("SELECT * FROM image ORDER BY path, id"):
        if row["id"] in runs:
            values = {name: row[name] for name in ("path", "sha256", "width", "height", "domain")}
            images.append(
                MentoredImage(
                    **values,
                    is_healthy=row["id"] in healthy,
                    run_ids=tuple(sorted(runs[row["id"]])),
                    answers=tuple(answers[row["id"]]),
                )
            )
    return images


def _drawn(connection: sqlite3.Connection, run_id: int) -> list[sqlite3.Row]:
    """Detections of a run that operators drew."""
    query = "SELECT id FROM detection WHERE run_id = ? AND origin = 'operator'"
    return connection.execute(query, (run_id,)).fetchall()


def _on_images(connection: sqlite3.Connection, run_ids: Sequence[int], image_ids: Iterable[int]) -> list[sqlite3.Row]:
    """The model's detections of runs on images."""
    found: list[sqlite3.Row] = []
    for run_id in run_ids:
        for image_id in image_ids:
            found += connection.execute(
                "SELECT id FROM detection WHERE run_id = ? AND image_id = ? AND origin = 'model'", (run_id, image_id)
            ).fetchall()
    return found
