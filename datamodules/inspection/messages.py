"""What the page and its server say to each other; anything else is refused by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RowId = Annotated[int, Field(ge=1, le=2**53)]  # a number that JavaScript holds exactly
ClientId = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{8,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0, le=10**9)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DetectionAnswer(_Message):
    """Yes, no, another class, or later."""

    kind: Literal["answer"]
    client_id: ClientId
    image_id: RowId
    detection_id: RowId
    verdict: Literal["confirm", "reject", "reclass", "skip"]
    class_name: Name | None = None
    annotator: Name
    milliseconds: Milliseconds | None = None


class HealthyAnswer(_Message):
    """The whole image is free of defects."""

    kind: Literal["healthy"]
    client_id: ClientId
    image_id: RowId
    annotator: Name
    milliseconds: Milliseconds | None = None


class MissedAnswer(_Message):
    """A defect that the model missed, as a box in pixels of the upright source image."""

    kind: Literal["missed"]
    client_id: ClientId
    image_id: RowId
    class_name: Name
    box: Annotated[list[Pixels], Field(min_length=4, max_length=4)]
    annotator: Name
    milliseconds: Milliseconds | None = None


class UndoAnswer(_Message):
    """An earlier answer is taken back."""

    kind: Literal["undo"]
    client_id: ClientId
    target: ClientId
    annotator: Name


Answer = Annotated[DetectionAnswer | HealthyAnswer | MissedAnswer | UndoAnswer, Field(discriminator="kind")]


class Answers(_Message):
    """Answers in the order they were given.

    Attributes:
        run: Run that they are about.
        run_key: The run's own mark: answers that a browser kept for another store are refused.
        answers: At most fifty.
    """

    run: RowId
    run_key: Annotated[str, Field(max_length=64)]
    answers: Annotated[list[Answer], Field(min_length=1, max_length=50)]
