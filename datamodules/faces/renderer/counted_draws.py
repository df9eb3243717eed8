"""Chance by counting: a number that depends on its key and name alone, so a face is the same in any batch and order."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

# Constants of the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), as signed 64-bit numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def mixed(key: Tensor) -> Tensor:
    """Scramble 64-bit numbers so that neighbours have nothing in common.

    Args:
        key: int64, any shape; arithmetic wraps around.

    Returns:
        int64 of the same shape.
    """
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
    words = torch.tensor([crc32(name.encode()) for name in names], dtype=torch.int64)
    return _shifted(mixed(key[:, None] ^ mixed(words)[None]), 40).double() / (1 << 24)


def _number(part: int | str) -> int:
    return crc32(part.encode()) if isinstance(part, str) else part


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros; torch fills with the sign."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)
