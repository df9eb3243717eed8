"""What the page and its server say to each other; anything else is refused by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from datamodules.feedback.messages import Given, Message, Milliseconds, Name, RowId, UndoAnswer

Pixels = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class DetectionAnswer(Given):
    """Yes, no, another class, or later."""

    kind: Literal["answer"]
    image_id: RowId
    detection_id: RowId
    verdict: Literal["confirm", "reject", "reclass", "skip"]
    class_name: Name | None = None
    milliseconds: Milliseconds | None = None


class HealthyAnswer(Given):
    """The whole image is free of defects."""

    kind: Literal["healthy"]
    image_id: RowId
    milliseconds: Milliseconds | None = None


class MissedAnswer(Given):
    """A defect that the model missed, as a box in pixels of the upright source image."""

    kind: Literal["missed"]
    image_id: RowId
    class_name: Name
    box: Annotated[list[Pixels], Field(min_length=4, max_length=4)]
    milliseconds: Milliseconds | None = None


Answer = Annotated[DetectionAnswer | HealthyAnswer | MissedAnswer | UndoAnswer, Field(discriminator="kind")]


class Answers(Message):
    """Answers in the order they were given.

    Attributes:
        run: Run that they are about.
        run_key: The run's own mark: answers that a browser kept for another store are refused.
        answers: At most fifty.
    """

    run: RowId
    run_key: Annotated[str, Field(max_length=64)]
    answers: Annotated[list[Answer], Field(min_length=1, max_length=50)]
