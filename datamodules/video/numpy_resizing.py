"""Frames of a video in another size, by NumPy alone: `datamodules.video.resizing` without torch, to the last bit.

torch resizes bytes as Pillow does: along the rows first, then along the columns, each by sums of whole numbers with
weights of 16 bits, and a byte between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WEIGHT_BITS = 15  # of a weight, the sign aside
_MOST_BITS = 22  # of them behind the point


def enlarge(frames: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize uint8 frames ``(M, h, w, 3)`` to ``(M, height, width, 3)``, bilinear, rounded."""
    if frames.shape[1:3] == (height, width):
        return frames
    rows, columns = (two_taps(*sides) for sides in ((frames.shape[1], height), (frames.shape[2], width)))
    return np.stack([_resized(frame, rows, columns) for frame in frames])


def resize_whole(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize whole frames, uint8 ``(M, H, W, 3)``, to ``(M, 3, R, R)``, bilinear, smoothed where they shrink."""
    rows, columns = (smooth_taps(side, size) for side in frames.shape[1:3])
    small = np.stack([_resized(frame, rows, columns) for frame in frames])
    return np.ascontiguousarray(small.transpose(0, 3, 1, 2))


def two_taps(length: int, size: int) -> Floats:
    """Weights of plain bilinear resizing, ``(size, length)``; each row sums to 1.

    Example:
        >>> two_taps(2, 4).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    place = np.maximum((np.arange(size) + 0.5) * (length / size) - 0.5, 0)
    first = np.minimum(place.astype(np.int64), length - 1)
    share = np.clip(place - first, 0, 1)
    weights = np.zeros((size, length))
    weights[np.arange(size), first] = 1 - share
    weights[np.arange(size), np.minimum(first + 1, length - 1)] += share
    return weights


def smooth_taps(length: int, size: int) -> Floats:
    """Weights of bilinear resizing whose triangle grows with what it shrinks, ``(size, length)``; rows sum to 1.

    Example:
        >>> smooth_taps(4, 2).round(4).tolist()
        [[0.4286, 0.4286, 0.1429, 0.0], [0.0, 0.1429, 0.4286, 0.4286]]
    """
    scale = length / size
    reach = max(scale, 1.0)
    centre = (np.arange(size)[:, None] + 0.5) * scale
    pixel = np.arange(length)[None, :]
    inside = (pixel >= (centre - reach + 0.5).astype(np.int64)) & (pixel < (centre + reach + 0.5).astype(np.int64))
    weights = np.where(inside, np.maximum(0, 1 - np.abs((pixel - centre + 0.5) / reach)), 0.0)
    sums: Floats = weights / weights.sum(axis=1, keepdims=True)
    return sums


def _resized(frame: NDArray[np.uint8], rows: Floats, columns: Floats) -> NDArray[np.uint8]:
    """One frame ``(H, W, 3)`` by weights of rows ``(H', H)`` and columns ``(W', W)``."""
    if len(columns) != frame.shape[1]:
        frame = _summed(frame, columns, 1)
    if len(rows) != frame.shape[0]:
        frame = _summed(frame, rows, 0)
    return frame


def _summed(pixels: NDArray[np.uint8], weights: Floats, axis: int) -> NDArray[np.uint8]:
    """Bytes along an axis by weights ``(m, n)``, in whole numbers, a neighbour of all places at a time."""
    largest = weights.max()
    bits = next(bit for bit in range(_MOST_BITS) if bit + 1 == _MOST_BITS or _rounded(largest, bit + 1) >> _WEIGHT_BITS)
    first = (weights > 0).argmax(axis=1)
    taps = int((weights > 0).sum(axis=1).max())
    shape = [1, 1, 1]
    shape[axis] = len(weights)
    total = np.full(1, 1 << (bits - 1), dtype=np.int32).reshape(1, 1, 1)
    for tap in range(taps):
        place = np.minimum(first + tap, weights.shape[1] - 1)
        own = np.where(first + tap < weights.shape[1], weights[np.arange(len(weights)), place], 0)
        whole = np.floor(own * 2**bits + 0.5).astype(np.int32).reshape(shape)
        total = total + pixels.take(place, axis=axis) * whole
    small: NDArray[np.uint8] = np.clip(total >> bits, 0, 255).astype(np.uint8)
    return small


def _rounded(weight: float, bits: int) -> int:
    return int(0.5 + weight * 2**bits)
