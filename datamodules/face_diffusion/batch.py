"""The batch contracts of diffusion: pictures to learn from, and samples to make."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class DiffusionBatch(TypedDict):
    """One batch of B pictures.

    Attributes:
        image: uint8 ``(B, 3, S, S)``, RGB 0..255.
        label: Class of each, int64 ``(B,)``; -1 where none is known.
        weight: What its loss counts, float32 ``(B,)``, of mean 1 over the split.
        noise_key: All noise of a row follows from it, int64 ``(B,)``: it follows from seed, epoch and row in training,
            from seed and row elsewhere.
        index: Row of the picture in its split, int64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
    """

    image: Tensor
    label: Tensor
    weight: Tensor
    noise_key: Tensor
    index: Tensor
    valid: Tensor


class SampleBatch(TypedDict):
    """One batch of B pictures to make.

    Attributes:
        noise_key: All noise of a sample follows from it, int64 ``(B,)``.
        label: Class that is asked for, int64 ``(B,)``; -1 for none.
        index: Number of the sample, int64 ``(B,)``.
        valid: bool ``(B,)``; False for the sampler's padding.
    """

    noise_key: Tensor
    label: Tensor
    index: Tensor
    valid: Tensor
