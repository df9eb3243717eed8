"""What the feedback store gives back: plain values, no tensors, so that the page starts without torch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Box = tuple[float, float, float, float]
Origin = Literal["model", "operator"]
CORNERS = ("x1", "y1", "x2", "y2")
Made = TypeVar("Made", bound="DataclassInstance")
Verdict = Literal["confirm", "reject", "reclass", "skip", "healthy"]


@dataclass(frozen=True)
class StoredImage:
    """An image of a store.

    Attributes:
        id: Its row.
        path: Absolute path.
        sha256: Of the file when it was mined, 64 hexadecimal digits.
        width: Pixels of the upright image.
        height: Likewise.
        domain: 0 original, 1 new.
    """

    id: int
    path: str
    sha256: str
    width: int
    height: int
    domain: int


@dataclass(frozen=True)
class StoredRun:
    """What mined: one checkpoint, one state of the data, one set of thresholds.

    Attributes:
        id: Its row.
        checkpoint_sha256: Of the checkpoint file.
        data_sha256: Fingerprint of the data.
        thresholds: Class name to its threshold, in the order of the model's classes.
        created: Time in UTC, ISO 8601.
    """

    id: int
    checkpoint_sha256: str
    data_sha256: str
    thresholds: Mapping[str, float]
    created: str

    @property
    def class_names(self) -> list[str]:
        """Classes of the model, in its order."""
        return list(self.thresholds)


@dataclass(frozen=True)
class StoredDetection:
    """A detection: what one question shows. Coordinates as in `datamodules.inspection.batch.Detection`.

    Attributes:
        id: Its row.
        run_id: Run that found it.
        image_id: Image that it is on.
        origin: Found by the model, or drawn by an operator.
        shown_class: Class name that it was shown as.
        score: 0..1; None for those of operators.
        margin: Score minus threshold; None likewise.
        entropy: Nats; None likewise.
        mc_dropout: Nats; None where it was not sampled.
        box: x1, y1, x2, y2 in pixels of the upright source image, x2 and y2 exclusive.
        rle: Region as a compressed run-length string of the COCO format; None for boxes.
        anchor_boxes: Emitting anchor box, then those that it suppressed.
    """

    id: int
    run_id: int
    image_id: int
    origin: Origin
    shown_class: str
    score: float | None
    margin: float | None
    entropy: float | None
    mc_dropout: float | None
    box: Box
    rle: str | None
    anchor_boxes: tuple[Box, ...]


@dataclass(frozen=True)
class StoredAnswer:
    """One row of the append-only table of answers.

    Attributes:
        id: Its row; later answers have larger ones.
        client_id: Unique name that the sender gave it: sending it again changes nothing.
        run_id: Run of the detection or, for an image, the run that showed it.
        image_id: Image that it is about.
        detection_id: Detection that it is about; None for a whole image.
        verdict: confirm, reject, reclass, skip, healthy or undo.
        truth: Class that is there according to it; None where it names none.
        annotator: Who answered.
        milliseconds: Time from question to answer; None where it was not measured.
        created: Time in UTC, ISO 8601.
        undoes: Row of the answer that it takes back.
    """

    id: int
    client_id: str
    run_id: int
    image_id: int
    detection_id: int | None
    verdict: str
    truth: str | None
    annotator: str
    milliseconds: int | None
    created: str
    undoes: int | None


@dataclass(frozen=True)
class EffectiveAnswer:
    """What all annotators together say about one detection.

    Attributes:
        detection_id: The detection.
        run_id: Run that found it.
        shown_class: Class name that it was shown as.
        truth: Class name that is there; None: no defect is there.
        box: x1, y1, x2, y2 in pixels of the upright source image, x2 and y2 exclusive.
        rle: Its region, or None.
        anchor_boxes: Emitting anchor box, then those that it suppressed.
        origin: Found by the model, or drawn by an operator.
    """

    detection_id: int
    run_id: int
    shown_class: str
    truth: str | None
    box: Box
    rle: str | None
    anchor_boxes: tuple[Box, ...]
    origin: Origin


@dataclass(frozen=True)
class MentoredImage:
    """An image with at least one answer in force.

    Attributes:
        path: Absolute path.
        sha256: Of the file when it was mined.
        width: Pixels of the upright image.
        height: Likewise.
        domain: 0 original, 1 new.
        is_healthy: Whether an annotator flagged the whole image as free of defects.
        run_ids: Runs that the answers come from, ascending.
        answers: One for each answered detection, by detection.
    """

    path: str
    sha256: str
    width: int
    height: int
    domain: int
    is_healthy: bool
    run_ids: tuple[int, ...]
    answers: tuple[EffectiveAnswer, ...]


@dataclass(frozen=True)
class ClassCount:
    """Answers about one class that was shown, by what they said; ``missed`` are drawn by operators in addition."""

    detections: int = 0
    confirmed: int = 0
    rejected: int = 0
    reclassed: int = 0
    missed: int = 0


@dataclass(frozen=True)
class Progress:
    """How far one annotator is in one run.

    Attributes:
        detections: Questions of the run.
        answered: Of these answered, or on an image that was flagged healthy; skipped ones are not.
        skipped: Wait at the end of the queue.
        confirmed: Yes.
        rejected: No.
        reclassed: Another class.
        missed: Defects drawn.
        healthy: Images flagged free of defects.
        classes: Counts a class, in the order of the model's classes.
    """

    detections: int
    answered: int
    skipped: int
    confirmed: int
    rejected: int
    reclassed: int
    missed: int
    healthy: int
    classes: Mapping[str, ClassCount]


def run_of(row: sqlite3.Row) -> StoredRun:
    """A row of the table ``run`` as a value."""
    thresholds = json.loads(row["thresholds_json"])
    return StoredRun(row["id"], row["checkpoint_sha256"], row["data_sha256"], thresholds, row["created"])


def detection_of(row: sqlite3.Row) -> StoredDetection:
    """A row of the table ``detection`` as a value."""
    boxes = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in json.loads(row["anchor_boxes"]))
    return _made_of(
        StoredDetection, row, shown_class=row["class"], anchor_boxes=boxes, box=tuple(row[name] for name in CORNERS)
    )


def answer_of(row: sqlite3.Row) -> StoredAnswer:
    """A row of the table ``answer`` as a value."""
    return _made_of(StoredAnswer, row, truth=row["class"])


def _made_of(kind: type[Made], row: sqlite3.Row, **own: object) -> Made:
    """A value whose fields are columns of a row, but for those that are given."""
    return kind(**{one.name: row[one.name] for one in fields(kind) if one.name not in own}, **own)
