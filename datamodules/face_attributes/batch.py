"""The batch contracts of faces: labelled pictures, and requests for faces that shall be made."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torch import Tensor

from datamodules.faces.batch import FaceBatch as FaceBatch


class AttributeRequestBatch(TypedDict):
    """One batch of B faces to make.

    Attributes:
        attributes: int8 ``(B, K)`` in the order of the schema: 1 asked for, 0 asked to be absent, -1 not said.
        seed: Seed of the face's own noise, int64 ``(B,)``; a face depends on its request and seed, not on its batch.
        index: Row of the request, int64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
        name: A file name without ending for each face, unique in the run.
        image: The source faces of an experiment on real images, uint8 ``(B, 3, S, S)``, RGB.
        source: Path of each source face; empty where there is none.
        labelled: bool ``(B,)``; False where the attributes of the source face are unknown, so that the classifier
            shall say them.
        error: Why each source could not be read, as in `FaceBatch`; only where there is one.
    """

    attributes: Tensor
    seed: Tensor
    index: Tensor
    valid: Tensor
    name: list[str]
    image: NotRequired[Tensor]
    source: list[str]
    labelled: Tensor
    error: NotRequired[list[str]]
