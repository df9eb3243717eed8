"""The feedback store: one SQLite file with what a model found and what operators said about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from datamodules.common.errors import StoreError
from datamodules.inspection.store import answers_that_count
from datamodules.inspection.store.agreement import Agreement
from datamodules.inspection.store.file import Value
from datamodules.inspection.store.merge import merge_stores
from datamodules.inspection.store.order import Order, possible_orders, ranked
from datamodules.inspection.store.rows import (
    CORNERS,
    Box,
    MentoredImage,
    Progress,
    StoredAnswer,
    StoredDetection,
    Verdict,
    answer_of,
)
from datamodules.inspection.store.schema import WAIT_SECONDS
from datamodules.inspection.store.writer import StoreWriter, clipped_box, now


class FeedbackStore(StoreWriter):
    """Images, mining runs, detections and answers in one file; rows are only ever added.

    Every answer is committed and on the disk when `answer` returns. An answer is taken back by another row, so every
    earlier state can be rebuilt. Several processes may use one file at once; threads may share one object.

    Args:
        path: The file; beside it ``<path>.maps/<run>/<image>.npz`` holds the score maps.
        create: Make the file when it is missing.
        wait: Seconds to wait while another process writes.

    Raises:
        StoreError: If the file is missing, no store, of another version, or locked.
    """

    def __init__(self, path: str | Path, *, create: bool = False, wait: float = WAIT_SECONDS) -> None:
        super().__init__(path, create=create, wait=wait)
        self._rankings: dict[tuple[int, str, int], tuple[int, list[int]]] = {}

    # ---- what operators say

    def answer(
        self,
        *,
        client_id: str,
        run_id: int,
        image_id: int,
        verdict: Verdict,
        annotator: str,
        detection_id: int | None = None,
        class_name: str | None = None,
        milliseconds: int | None = None,
    ) -> int:
        """Save one answer; it is on the disk when this returns.

        Args:
            client_id: Unique name of the answer: sending it again changes nothing and returns the same row.
            run_id: Run of the detection.
            image_id: Its image.
            verdict: ``confirm``, ``reject``, ``reclass`` (needs ``class_name``) or ``skip`` a detection; ``healthy`` is
                said of the whole image, and also rejects those of its detections that the annotator left open.
            annotator: Who answers.
            detection_id: The detection; None for ``healthy``.
            class_name: The right class, for ``reclass``.
            milliseconds: Time from question to answer.

        Returns:
            Row of the answer.

        Raises:
            StoreError: If it contradicts the store: no such detection in this run, unknown class, a defect on an image
                that is flagged healthy or the reverse, a client id of another answer; or if it cannot be saved.
        """
        with self.transaction():
            known = self.answer_of(client_id)
            if known is not None:
                return _same(known, run_id, image_id, detection_id, verdict)
            truth = self._truth(run_id, image_id, detection_id, verdict, class_name)
            self._refuse_contradiction(image_id, verdict)
            return self._add_answer(
                client_id=client_id,
                run_id=run_id,
                image_id=image_id,
                detection_id=detection_id,
                verdict=verdict,
                truth=truth,
                annotator=annotator,
                milliseconds=milliseconds,
            )

    def add_missed(
        self,
        *,
        client_id: str,
        run_id: int,
        image_id: int,
        class_name: str,
        box: Box,
        annotator: str,
        milliseconds: int | None = None,
        rle: str | None = None,
        verdict: Literal["confirm", "skip"] = "confirm",
    ) -> int:
        """Save a defect that the model missed: a detection of origin ``operator``, confirmed.

        Args:
            client_id: As in `answer`.
            run_id: Run that missed it.
            image_id: Image.
            class_name: Its class.
            box: x1, y1, x2, y2 in pixels of the upright source image; clipped to it.
            annotator: Who drew it.
            milliseconds: Time that it took.
            rle: Its region as a compressed run-length string of the COCO format; None: the region is the box.
            verdict: ``skip`` where nothing is known of what was drawn, as in a crowd of the COCO format.

        Returns:
            Row of the answer.

        Raises:
            StoreError: As in `answer`, or if the box lies outside the image.
        """
        with self.transaction():
            known = self.answer_of(client_id)
            if known is not None:
                return _same(known, run_id, image_id, known.detection_id, verdict)
            image = self.image(image_id)
            self._require_class(run_id, class_name)
            self._refuse_contradiction(image_id, verdict)
            values: dict[str, Value] = dict(zip(CORNERS, clipped_box(box, image), strict=True))
            values |= {"run_id": run_id, "image_id": image_id, "origin": "operator", "class": class_name, "rle": rle}
            detection_id = self.add("detection", **values)
            return self._add_answer(
                client_id=client_id,
                run_id=run_id,
                image_id=image_id,
                detection_id=detection_id,
                verdict=verdict,
                truth=class_name if verdict == "confirm" else None,
                annotator=annotator,
                milliseconds=milliseconds,
            )

    def undo(self, answer_id: int, *, client_id: str, annotator: str) -> int:
        """Take an answer back by a new row.

        Args:
            answer_id: Row of the answer.
            client_id: Unique name of the undo, as in `answer`.
            annotator: Who takes it back: whoever gave it.

        Returns:
            Row of the undo.

        Raises:
            StoreError: If there is no such answer of this annotator, or it was taken back before.
        """
        with self.transaction():
            known = self.answer_of(client_id)
            if known is not None and known.undoes == answer_id:
                return known.id
            row = self.one("SELECT * FROM answer WHERE id = ?", answer_id)
            if row is None or row["annotator"] != annotator or row["verdict"] == "undo":
                raise StoreError(f"there is no answer {answer_id} of {annotator} to take back: reload the page")
            if self.one("SELECT id FROM answer WHERE undoes = ?", answer_id) is not None:
                raise StoreError(f"answer {answer_id} was taken back before: reload the page")
            return self._add_answer(
                client_id=client_id,
                run_id=int(row["run_id"]),
                image_id=int(row["image_id"]),
                detection_id=row["detection_id"],
                verdict="undo",
                truth=None,
                annotator=annotator,
                milliseconds=None,
                undoes=answer_id,
            )

    # ---- what is asked, and how far it is

    def next_items(
        self,
        run_id: int,
        annotator: str,
        *,
        limit: int = 5,
        order: Order = "any",
        seed: int = 0,
        exclude: Collection[int] = (),
    ) -> list[StoredDetection]:
        """Questions that this annotator has not answered in this run; skipped ones come at the end.

        Args:
            run_id: Run.
            annotator: Who is asked.
            limit: At most as many.
            order: Order of the questions, see `datamodules.inspection.store.order.ranked`.
            seed: Of the random orders.
            exclude: Detections to leave out: those that a page holds already.
        """
        with self.reading():
            done, skipped = answers_that_count.settled(self.connection, run_id, annotator)
            left_out = {*done, *skipped, *exclude}
            ids = [one for one in self._ranking(run_id, order, seed) if one not in left_out][:limit]
            ids += [one for one in skipped if one not in exclude][: max(0, limit - len(ids))]
            return [self.detection(one) for one in ids]

    def possible_orders(self, run_id: int) -> list[Order]:
        """Orders that `next_items` can give for a run: those whose values were stored."""
        with self.reading():
            return possible_orders(self.connection, run_id)

    def progress(self, run_id: int, annotator: str) -> Progress:
        """How far an annotator is in a run."""
        with self.reading():
            return answers_that_count.progress(self.connection, self.run(run_id), annotator)

    def open_questions(self, run_id: int | None = None) -> int:
        """Detections of a run that nobody has answered or skipped; None takes the newest run."""
        with self.reading():
            return answers_that_count.open_questions(self.connection, self.run(run_id).id)

    def operator_minutes(self, run_ids: Sequence[int] | None = None) -> float:
        """Minutes that all answers took together, those that were taken back too; None takes all runs."""
        runs = self._run_ids(run_ids)
        marks = ", ".join("?" * len(runs))
        row = self.one(f"SELECT total(milliseconds) AS spent FROM answer WHERE run_id IN ({marks})", *runs)
        return float(row["spent"]) / 60_000 if row is not None else 0.0

    def confirmed_detections(self, image_id: int) -> set[int]:
        """Detections of an image that some annotator says are defects, of the shown class or another."""
        with self.reading():
            rows = answers_that_count.in_force(self.connection, "AND image_id = ?", (image_id,))
        return {row["detection_id"] for row in rows if row["verdict"] in ("confirm", "reclass")}

    def is_healthy(self, image_id: int) -> bool:
        """Whether some annotator's flag says that the whole image is free of defects."""
        with self.reading():
            rows = answers_that_count.in_force(self.connection, "AND image_id = ?", (image_id,))
        return any(row["verdict"] == "healthy" for row in rows)

    def agreement(self, run_ids: Sequence[int] | None = None) -> Agreement:
        """How far annotators agree, over all runs or some."""
        with self.reading():
            return answers_that_count.agreement(self.connection, self._run_ids(run_ids))

    def mentored_images(self, run_ids: Sequence[int] | None = None) -> list[MentoredImage]:
        """Images with at least one answer in force, by path: what training takes.

        Where annotators differ the majority decides; a detection without one is left out. An image that was flagged
        healthy has its open detections rejected.

        Args:
            run_ids: Runs to take answers from; None takes all.

        Raises:
            StoreError: If the store is damaged.
        """
        self.require_whole()
        with self.reading():
            return answers_that_count.mentored_images(self.connection, self._run_ids(run_ids))

    def votes(self, run_ids: Sequence[int] | None = None) -> dict[int, dict[str, str | None]]:
        """For each answered detection what each annotator says is there; None: no defect."""
        with self.reading():
            return answers_that_count.votes(self.connection, self._run_ids(run_ids))

    def flags(self, verdict: Literal["healthy", "skip"], run_ids: Sequence[int] | None = None) -> list[StoredAnswer]:
        """Answers in force that name no defect: of whole images that are healthy, or of skipped detections."""
        runs = self._run_ids(run_ids)
        with self.reading():
            rows = answers_that_count.in_force(self.connection)
        return [answer_of(row) for row in rows if row["verdict"] == verdict and row["run_id"] in runs]

    # ---- other stores

    def merge(self, *others: FeedbackStore | str | Path) -> None:
        """Take over every image, run, detection, answer and map of other stores; a repeat changes nothing.

        Stores that several processes filled in one pass are given together, so that their images are in its order.

        Raises:
            StoreError: If another is no store, or this one cannot be written.
        """
        with ExitStack() as stack:
            merge_stores(
                self,
                *(
                    other if isinstance(other, FeedbackStore) else stack.enter_context(FeedbackStore(other))
                    for other in others
                ),
            )

    # ---- inside

    def _truth(
        self, run_id: int, image_id: int, detection_id: int | None, verdict: Verdict, class_name: str | None
    ) -> str | None:
        """Check that the answer names things that exist and belong together; the class that it says is there."""
        if verdict not in ("confirm", "reject", "reclass", "skip", "healthy"):
            raise StoreError(f'there is no verdict "{verdict}": send confirm, reject, reclass, skip or healthy')
        if (verdict == "healthy") != (detection_id is None):
            raise StoreError(f"a {verdict} answer {'names no' if verdict == 'healthy' else 'needs a'} detection")
        if detection_id is None:
            self.run(run_id)
            self.image(image_id)
            return None
        found = self.detection(detection_id)
        if (found.run_id, found.image_id) != (run_id, image_id):
            raise StoreError(
                f"detection {detection_id} is of run {found.run_id}, image {found.image_id}, not of run {run_id}, "
                f"image {image_id}: the answer is meant for another store or an older page; reload it"
            )
        if verdict == "reclass":
            self._require_class(run_id, class_name)
            return class_name
        return found.shown_class if verdict == "confirm" else None

    def _require_class(self, run_id: int, class_name: str | None) -> None:
        names = self.run(run_id).class_names
        if class_name not in names:
            raise StoreError(f'there is no class "{class_name}" in run {run_id}: choose one of {", ".join(names)}')

    def _refuse_contradiction(self, image_id: int, verdict: str) -> None:
        against = {"healthy": ("confirm", "reclass"), "confirm": ("healthy",), "reclass": ("healthy",)}.get(verdict)
        if against is None:
            return
        for row in answers_that_count.in_force(self.connection, "AND image_id = ?", (image_id,)):
            if row["verdict"] in against:
                path = Path(self.image(image_id).path).name
                raise StoreError(
                    f"{path} was flagged healthy by {row['annotator']}, so no defect can be on it: take that back first"
                    if verdict != "healthy"
                    else f"{path} has a defect that {row['annotator']} confirmed ({row['class']}, detection "
                    f"{row['detection_id']}), so it cannot be healthy: take that back first"
                )

    def _add_answer(self, *, truth: str | None, detection_id: int | None, **values: str | int | None) -> int:
        scope = "image" if detection_id is None else "detection"
        if not str(values["annotator"]).strip():
            raise StoreError("an answer needs the name of its annotator: give one with --annotator NAME")
        return self.add("answer", **values, detection_id=detection_id, scope=scope, created=now(), **{"class": truth})

    def _ranking(self, run_id: int, order: Order, seed: int) -> list[int]:
        newest = self.one(
            "SELECT ifnull(max(id), 0) AS id FROM detection WHERE run_id = ? AND origin = 'model'", run_id
        )
        last = int(newest["id"]) if newest is not None else 0
        known = self._rankings.get((run_id, order, seed))
        if known is None or known[0] != last:
            known = self._rankings[run_id, order, seed] = (last, ranked(self.connection, run_id, order, seed))
        return known[1]

    def _run_ids(self, run_ids: Sequence[int] | None) -> list[int]:
        return [run.id for run in self.runs()] if run_ids is None else [self.run(one).id for one in run_ids]


def _same(known: StoredAnswer, run_id: int, image_id: int, detection_id: int | None, verdict: str) -> int:
    if (known.run_id, known.image_id, known.detection_id, known.verdict) != (run_id, image_id, detection_id, verdict):
        raise StoreError(
            f'client id "{known.client_id}" belongs to another answer (row {known.id}): every answer needs its own'
        )
    return known.id
