"""What a page and its server say to each other whatever is asked; anything else is refused by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RowId = Annotated[int, Field(ge=1, le=2**53)]  # a number that JavaScript holds exactly
ClientId = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{8,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Milliseconds = Annotated[int, Field(ge=0, le=10**9)]


class Message(BaseModel):
    """A message: its own fields, of their own types, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Given(Message):
    """What somebody has given, under a name that makes sending it again harmless."""

    client_id: ClientId
    annotator: Name


class UndoAnswer(Given):
    """An earlier answer is taken back."""

    kind: Literal["undo"]
    target: ClientId
