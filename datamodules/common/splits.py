"""Splits of lists: the words for them, and what leaves training by a hash of a seed and a name, so by nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError, fail

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
SPLITS_OF_STAGE: dict[str, tuple[SplitName | Literal["predict"], ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("predict",),
}
_WORDS: dict[SplitName, str] = {
    "train": "train training",
    "val": "val valid validate validation",
    "test": "test testing",
}


def split_of(word: str) -> SplitName | None:
    """Split that a word of a list or the name of a folder means; None for any other word.

    Example:
        >>> [split_of(word) for word in ("Validate", "train", "drinking")]
        ['val', 'train', None]
    """
    return next((split for split, words in _WORDS.items() if word.lower() in words.split()), None)


def known_split(path: str | Path, line: int, word: str, found: SplitName | None) -> SplitName | None:
    """The split that was found for a word of a list; an empty word names none.

    Raises:
        LabelError: If the word means no split.
    """
    if word and found is None:
        raise fail(path, line, f"split {word!r} is not known; allowed are train, val and test")
    return found


def strict_split(path: str | Path, line: int, word: str) -> SplitName | None:
    """The split that a word of a list spells out; an empty word names none.

    Raises:
        LabelError: If the word is any other.
    """
    if word and word not in SPLITS:
        raise fail(path, line, f"split {word!r} must be train, val or test")
    return split_of(word)


def by_hash(names: Iterable[str], seed: object) -> list[str]:
    """Names in an order that nothing but the seed and the names decides."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest())


def set_aside(names: Iterable[str], shares: Mapping[SplitName, float], seed: object) -> dict[str, SplitName]:
    """Names that leave training with their splits, by shares above 0: each gets one where there are enough."""
    order = by_hash(names, seed)
    counts = {split: max(1, round(share * len(order))) for split, share in shares.items()}
    for split in reversed(SPLITS):
        while counts.get(split, 0) > 0 and sum(counts.values()) >= len(order):
            counts[split] -= 1
    moved: dict[str, SplitName] = {}
    for split, count in counts.items():
        moved |= dict.fromkeys(order[:count], split)
        order = order[count:]
    return moved


def check_shares(split: Sequence[float]) -> None:
    """Refuse shares of train, val and test that leave nothing to train on.

    Raises:
        ConfigurationError: If they do.
    """
    if len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6 or split[0] <= 0:
        raise ConfigurationError(
            f"split is {list(split)}; it must be the shares of train, val and test, none below 0, with something to "
            "train on and the sum 1"
        )
