"""Chance by counting: a number that depends on its key and name alone, so a row is the same in any batch and order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

# Constants of the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), as signed 64-bit numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)
_COUNTS = 1 << 24  # values of a draw


def mixed(key: Tensor) -> Tensor:
    """Scramble int64 numbers of any shape so that neighbours have nothing in common; arithmetic wraps around."""
    word = key + _GOLDEN
    word = (word ^ _shifted(word, 30)) * _FIRST
    word = (word ^ _shifted(word, 27)) * _SECOND
    return word ^ _shifted(word, 31)


def key_of(*parts: Tensor | int | str) -> Tensor:
    """One key out of numbers, names and tensors of numbers, by their order.

    Returns:
        int64 of the shape that the tensors broadcast to, ``()`` without any.
    """
    key = torch.zeros((), dtype=torch.int64)
    for part in parts:
        word = part if isinstance(part, Tensor) else torch.tensor(_number(part), dtype=torch.int64)
        key = mixed(key ^ mixed(word))
    return key


def uniforms(key: Tensor, names: Sequence[str]) -> Tensor:
    """A number in [0, 1) for every key and name.

    Args:
        key: int64 ``(B,)``.
        names: n names; a name gives the same numbers whatever the others are.

    Returns:
        float64 ``(B, n)``, multiples of 2 to the power of -24, so that float32 holds them exactly.
    """
    return _counts(key, names).double() / _COUNTS


def row_draws(names: Sequence[str], seed: int, epoch: int, rows: Tensor, repeat: Tensor | int = 0) -> Tensor:
    """Numbers in [0, 1) for rows of a split, the same in any batch, at any place in it and in any process.

    Args:
        names: n names of what is drawn.
        seed: Seed of the data.
        epoch: Epoch of the training.
        rows: Rows of the split, int64 ``(B,)`` on any device.
        repeat: How often each row came before in this epoch, int64 ``(B,)`` on the same device.

    Returns:
        float32 ``(B, n)`` on that device.
    """
    return _counts(key_of(seed, epoch, rows, repeat), names).float() / _COUNTS


def normals(key: Tensor, name: str, shape: Sequence[int]) -> Tensor:
    """Standard normal noise of each key (Box and Muller, 1958), the same in any batch.

    Args:
        key: int64 ``(B,)`` on any device.
        name: What is drawn; other names are independent.
        shape: Of the noise of one key.

    Returns:
        float32 ``(B, *shape)`` on that device; no number is beyond 5.8.

    Example:
        >>> both = normals(torch.tensor([3, 5]), "start", (2, 2))
        >>> torch.equal(both[1:], normals(torch.tensor([5]), "start", (2, 2)))
        True
    """
    number = math.prod(shape)
    places = torch.arange((number + 1) // 2, device=key.device) + (_number(name) << 32)
    word = mixed(key[:, None] ^ mixed(places))
    radius = (-2 * ((_shifted(word, 40) + 1).float() / _COUNTS).log()).sqrt()
    angle = (word & (_COUNTS - 1)).float() * (2 * math.pi / _COUNTS)
    drawn = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)
    return drawn[:, :number].reshape(len(key), *shape)


def _counts(key: Tensor, names: Sequence[str]) -> Tensor:
    """Whole numbers below ``_COUNTS``, int64 ``(B, n)``."""
    words = torch.tensor([crc32(name.encode("utf-8", "surrogatepass")) for name in names], dtype=torch.int64)
    return _shifted(mixed(key[:, None] ^ mixed(words).to(key.device)), 40)


def _number(part: int | str) -> int:
    return crc32(part.encode("utf-8", "surrogatepass")) if isinstance(part, str) else part


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros; torch fills with the sign."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)
