"""The server of the feedback page: questions, images by id, answers; everything else is refused."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Response
from fastapi.responses import JSONResponse

from datamodules.common.errors import StoreError
from datamodules.feedback.app import page_app, save_each
from datamodules.feedback.messages import Name, RowId
from datamodules.feedback.pace import answers_an_hour
from datamodules.feedback.pictures import read_picture
from datamodules.feedback.public_address import PublicAddress
from datamodules.inspection.messages import Answer, Answers, DetectionAnswer, HealthyAnswer, MissedAnswer
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.order import Order
from datamodules.inspection.store.rows import StoredAnswer, StoredDetection, StoredRun

LAST = 30  # answers that can be taken back after a reload

RunQuery = Annotated[int, Query(ge=1, le=2**53)]
NameQuery = Annotated[Name, Query()]


@dataclass(frozen=True)
class PageSettings:
    """What the page begins with.

    Attributes:
        host: Address that the server is bound to.
        token: Asked of every request for data; needed where other machines can connect.
        public: Where a proxy shows the page; None where there is no proxy.
        annotator: Name that answers are saved under, unless the page says another.
        order: Order of the questions.
        run: Run that is asked about; None takes the newest.
        seed: Of the random orders.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    public: PublicAddress | None = None
    annotator: str = "operator"
    order: Order = "any"
    run: int | None = None
    seed: int = 0


def build_app(store: FeedbackStore, settings: PageSettings) -> FastAPI:
    """Build the server's application.

    Args:
        store: Open store; its methods hold a lock, so that threads may share it.
        settings: What the page begins with.

    Raises:
        StoreError: If other machines could connect and there is no token, or the store has no such run.
    """
    app = page_app(settings.host, settings.token, settings.public)
    run = store.run(settings.run)
    store.next_items(run.id, settings.annotator, limit=1, order=settings.order, seed=settings.seed)  # or say what lacks
    _add_questions(app, store, settings, run)
    _add_answers(app, store)
    return app


def run_key(run: StoredRun) -> str:
    """Mark of a run that no other store shares; a browser keeps answers under it."""
    text = "\n".join((run.checkpoint_sha256, run.data_sha256, repr(dict(run.thresholds)), run.created))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _add_questions(app: FastAPI, store: FeedbackStore, settings: PageSettings, default: StoredRun) -> None:
    @app.get("/api/session")
    def session() -> dict[str, object]:
        return {
            "run": default.id,
            "run_key": run_key(default),
            "classes": default.class_names,
            "store": store.path.name,
            "annotator": settings.annotator,
            "orders": store.possible_orders(default.id),
            "order": settings.order,
        }

    @app.get("/api/items")
    def items(
        run: RunQuery,
        annotator: NameQuery,
        order: Order,
        limit: Annotated[int, Query(ge=1, le=50)] = 5,
        exclude: Annotated[list[RowId], Query(max_length=200)] = [],  # noqa: B006  # FastAPI copies it
    ) -> list[dict[str, object]]:
        found = store.next_items(
            run, annotator, limit=limit, order=order, seed=settings.seed, exclude=frozenset(exclude)
        )
        return [question(store, one) for one in found]

    @app.get("/api/progress")
    def progress(run: RunQuery, annotator: NameQuery) -> dict[str, object]:
        recent = store.recent_answers(run, annotator, limit=500)
        pace = answers_an_hour([one.created for one in recent])
        return asdict(store.progress(run, annotator)) | {"answers_an_hour": pace}

    @app.get("/api/history")
    def history(run: RunQuery, annotator: NameQuery) -> list[dict[str, object]]:
        return [past(store, one) for one in store.recent_answers(run, annotator, limit=LAST)]

    @app.get("/api/image/{image_id}")
    def image(image_id: RowId) -> Response:
        asked = store.image(image_id)
        picture = read_picture(Path(asked.path), asked.sha256)
        headers = {"Cache-Control": "no-store"}  # another store on this port would give the id to another image
        return Response(picture.content, media_type=picture.media_type, headers=headers)


def _add_answers(app: FastAPI, store: FeedbackStore) -> None:
    @app.post("/api/answers")
    def answers(sent: Answers) -> JSONResponse:
        if run_key(store.run(sent.run)) != sent.run_key:
            raise StoreError("these answers were given for another store: reload the page")
        return save_each(sent.answers, lambda one: save(store, sent.run, one))


def save(store: FeedbackStore, run_id: int, one: Answer) -> int:
    """Save one answer; the row is on the disk when this returns.

    Raises:
        StoreError: If the store refuses it.
    """
    if isinstance(one, DetectionAnswer):
        return store.answer(run_id=run_id, **one.model_dump(exclude={"kind"}))
    if isinstance(one, HealthyAnswer):
        return store.answer(run_id=run_id, verdict="healthy", **one.model_dump(exclude={"kind"}))
    if isinstance(one, MissedAnswer):
        x1, y1, x2, y2 = one.box
        return store.add_missed(run_id=run_id, box=(x1, y1, x2, y2), **one.model_dump(exclude={"kind", "box"}))
    target = store.answer_of(one.target)
    if target is None:
        raise StoreError("the answer to take back was never saved: there is nothing to do")
    return store.undo(target.id, client_id=one.client_id, annotator=one.annotator)


def question(store: FeedbackStore, one: StoredDetection) -> dict[str, object]:
    """A detection as the page shows it, with the others on its image."""
    image = store.image(one.image_id)
    confirmed = store.confirmed_detections(one.image_id)  # a drawing that was taken back is not shown
    others = [
        {"id": other.id, "class": other.shown_class, "box": other.box, "origin": other.origin}
        for other in store.detections(one.run_id, one.image_id)
        if other.id != one.id and (other.origin == "model" or other.id in confirmed)
    ]
    return {
        "id": one.id,
        "class": one.shown_class,
        "score": one.score,
        "box": one.box,
        "rle": one.rle,
        "image": {"id": image.id, "name": Path(image.path).name, "width": image.width, "height": image.height},
        "others": others[:100],
    }


def past(store: FeedbackStore, answer: StoredAnswer) -> dict[str, object]:
    """An answer that can be taken back, with its question where the model asked it."""
    detection = None if answer.detection_id is None else store.detection(answer.detection_id)
    asked = detection is not None and detection.origin == "model"
    return {
        "client_id": answer.client_id,
        "verdict": answer.verdict if asked or detection is None else "missed",
        "class": answer.truth,
        "item": question(store, detection) if detection is not None and asked else None,
    }
