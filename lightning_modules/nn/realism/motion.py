"""Descriptors of videos from those of their frames, with what is shown apart from how it moves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def clip_descriptors(frames: Tensor) -> dict[str, Tensor]:
    """Unit vectors of videos whose cosine says how alike two of them are.

    ``frames`` is VSSCD of Rahman et al. (WACV 2025): the frames' unit descriptors one after another. ``content`` is
    their mean, ``motion`` the differences of one frame and the next one after another; a video that stands still has
    none, and is like no other.

    Args:
        frames: Unit descriptors of T frames of N videos, ``(N, T, F)``, T > 1.

    Returns:
        ``(N, T F)``, ``(N, F)`` and ``(N, (T - 1) F)`` by name.

    Example:
        >>> still = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
        >>> {name: round(found.norm().item(), 4) for name, found in clip_descriptors(still).items()}
        {'frames': 1.0, 'content': 1.0, 'motion': 0.0}
    """
    steps = frames[:, 1:] - frames[:, :-1]
    moves = steps.flatten(1).norm(dim=1, keepdim=True) > 1e-5
    return {
        "frames": functional.normalize(frames.flatten(1), dim=1),
        "content": functional.normalize(frames.mean(dim=1), dim=1),
        "motion": torch.where(moves, functional.normalize(steps.flatten(1), dim=1), 0),
    }
