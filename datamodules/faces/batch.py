"""The batch contract of labelled faces."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torch import Tensor


class FaceBatch(TypedDict):
    """One batch of B cropped faces.

    Attributes:
        image: The crop resized to the side S of the data module, uint8 ``(B, 3, S, S)``, RGB 0..255.
        attributes: int8 ``(B, K)`` in the order of the schema: 1 present, 0 absent, -1 missing (not said, or hidden in
            the picture).
        values: Real values of a list that has them (above 0 means present), float32 ``(B, K)``, NaN where missing.
        index: Row of the face in its split, int64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
        file: Path of each picture as written in its list; for a generated face a name that says how to draw it again.
        identity: Name of the person, empty where unknown.
        error: Why each picture could not be read, empty where it could; such a picture is black and not valid. Only
            where there is one.
    """

    image: Tensor
    attributes: Tensor
    values: NotRequired[Tensor]
    index: Tensor
    valid: Tensor
    file: list[str]
    identity: list[str]
    error: NotRequired[list[str]]
