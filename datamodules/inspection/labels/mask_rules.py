"""What the values of masks mean: class numbers, healthy and defect, bright and dark, or colours of a palette.

The values of one mask do not tell: 255 alone is "unknown" beside class numbers and "defect" beside 0. So the masks of a
list are looked at together, and one rule holds for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.images.masks import COLOUR, StoredMask, brightness, value_name
from datamodules.inspection.batch import IGNORE

_BLACK, _WHITE = 0, 255
_SOFT: Final = 16  # more different values than this are soft edges or artefacts, none of them a mark of its own
_APART: Final = 48  # least difference between dark and bright
_PASCAL_VOID: Final = COLOUR | 0xE0E0C0  # of PASCAL VOC: borders, of which nothing is known


@dataclass(frozen=True)
class MaskFacts:
    """What one mask holds.

    Attributes:
        shown: Pixels of each value that a viewer shows, see `StoredMask`.
        numbers: The class numbers that it would hold.
        first: What the first place of a palette shows; None without one.
        is_lossy: The format may have changed values.
    """

    shown: Mapping[int, int]
    numbers: tuple[int, ...]
    first: int | None
    is_lossy: bool


@dataclass(frozen=True)
class MaskRule:
    """What the values of masks mean.

    Attributes:
        kind: "numbers": value v is class v - 1, 0 is healthy, 255 unknown. "other": every value but ``healthy`` is
            defect. "brighter", "darker": values above, or not above, ``limit`` are defect. "colours": see ``labels``.
        healthy: Shown value of healthy pixels.
        limit: Brightness.
        labels: Shown values with their labels, 0 healthy, c + 1 class c, 255 unknown.
    """

    kind: Literal["numbers", "other", "brighter", "darker", "colours"] = "numbers"
    healthy: int = _BLACK
    limit: int = 0
    labels: tuple[tuple[int, int], ...] = ()


def facts_of(mask: StoredMask) -> MaskFacts:
    """Count the values of a mask."""
    values, counts = _counted(mask.shown)
    numbers = values if mask.index is None else _counted(mask.index)[0]
    first = None
    if mask.index is not None and bool((mask.index == 0).any()):
        first = int(mask.shown[mask.index == 0][0])
    shown = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return MaskFacts(shown, tuple(numbers.tolist()), first, mask.is_lossy)


def marks_rule(facts: Sequence[MaskFacts], healthy: int | None) -> MaskRule:
    """Rule of masks that mark the pixels of one class.

    Args:
        facts: Of all masks of a list.
        healthy: Value of healthy pixels, where it is known.

    Raises:
        LabelError: If nothing tells healthy from defect.
    """
    shown = _together(facts)
    if _is_soft(facts, shown):
        return _by_brightness(shown, healthy)
    if healthy is not None and healthy not in shown:
        raise LabelError(
            f"mask_healthy is {value_name(healthy)}, but the masks hold {_named(shown)}; name one of these values"
        )
    return MaskRule("other", healthy if healthy is not None else _healthy_of(facts, shown))


def numbers_rule(
    facts: Sequence[MaskFacts], num_classes: int, healthy: int | None, colours: Mapping[int, int] | None
) -> MaskRule:
    """Rule of masks whose values tell the class.

    Args:
        facts: Of all masks of a list.
        num_classes: Number of classes; of one alone two values are healthy and defect, whatever they are.
        healthy: Value of healthy pixels, where it is known.
        colours: Label of each shown value, where a palette is given.

    Raises:
        LabelError: If nothing tells healthy from defect.
    """
    if colours is not None:
        return MaskRule("colours", labels=tuple(colours.items()))
    shown = _together(facts)
    numbers = {number for one in facts for number in one.numbers}
    two = len(shown) == 2 and not numbers <= {0, 1}
    if num_classes == 1 and (two or healthy is not None or _is_soft(facts, shown)):
        return marks_rule(facts, healthy)
    if any(one.is_lossy and set(one.shown) != {_BLACK} for one in facts):
        raise LabelError(
            "the masks are saved as JPEG or lossy WebP, which change values, so that they keep no numbers of classes; "
            "save them as PNG"
        )
    return MaskRule("numbers")


def labels_of(mask: StoredMask, rule: MaskRule, class_index: int | None) -> NDArray[np.uint8]:
    """Labels of the pixels, uint8 ``(H, W)``: 0 healthy, c + 1 class c, 255 unknown.

    Args:
        mask: The mask.
        rule: Of its list; it was checked that the values of the mask are known to it.
        class_index: Class of what is marked, where the rule does not tell it.
    """
    value = np.uint8((class_index or 0) + 1)
    if rule.kind == "numbers":
        return mask.numbers.astype(np.uint8)
    if rule.kind == "colours":
        labels = np.zeros(mask.size, dtype=np.uint8)
        for shown, label in rule.labels:
            labels[mask.shown == shown] = label
        return labels
    if rule.kind == "other":
        return np.where(mask.shown != rule.healthy, value, np.uint8(0))
    above = brightness(mask.shown) > rule.limit
    return np.where(above == (rule.kind == "brighter"), value, np.uint8(0))


def counts_of(facts: MaskFacts, rule: MaskRule, class_index: int | None) -> Counter[int]:
    """Pixels of each label in a mask; those of class numbers are counted as 1, since a palette's are not counted."""
    if rule.kind == "numbers":
        return Counter(facts.numbers)
    if rule.kind == "colours":
        labels = dict(rule.labels)
        return Counter({labels[value]: count for value, count in facts.shown.items() if value in labels})
    found: Counter[int] = Counter()
    for value, count in facts.shown.items():
        lit = int(brightness(np.array(value, dtype=np.int32)))
        marked = value != rule.healthy if rule.kind == "other" else (lit > rule.limit) == (rule.kind == "brighter")
        found[(class_index or 0) + 1 if marked else 0] += count
    return found


def unknown_values(facts: MaskFacts, rule: MaskRule, num_classes: int) -> list[int]:
    """Values of a mask that mean nothing."""
    if rule.kind == "numbers":
        return [value for value in facts.numbers if value > num_classes and value != IGNORE]
    known = dict(rule.labels)
    return [value for value in facts.shown if value not in known] if rule.kind == "colours" else []


def said(rule: MaskRule, class_name: str) -> str:
    """The rule in words."""
    if rule.kind == "other":
        return f"{value_name(rule.healthy)} is healthy, every other value is {class_name}"
    if rule.kind in ("brighter", "darker"):
        side = "above" if rule.kind == "brighter" else "up to"
        return f"values between dark and bright (soft edges or artefacts of JPEG), {side} {rule.limit} is {class_name}"
    return "a value is the number of a class, 0 is healthy, 255 unknown"


def palette_labels(palette: str | Mapping[str, str], class_names: Sequence[str]) -> dict[int, int]:
    """Label of each colour of a palette.

    Args:
        palette: "voc", the colours of PASCAL VOC for the classes in their order; or a colour such as "#ff0000" for each
            class; the name "unknown" stands for what is not known. Black is healthy unless a class has it.
        class_names: The classes.

    Raises:
        ConfigurationError: If a class or a colour is unknown.

    Example:
        >>> palette_labels({"dent": "#0000ff"}, ["scratch", "dent"]) == {0: 0, COLOUR | 0xFF: 2}
        True
    """
    if isinstance(palette, str):
        if palette != "voc":
            raise ConfigurationError(f"mask_palette is {palette!r}; it must be voc, or a colour for each class")
        return {_BLACK: 0, _PASCAL_VOID: IGNORE} | {
            _voc_colour(place): place for place in range(1, len(class_names) + 1)
        }
    labels = {_BLACK: 0}
    for name, text in palette.items():
        if name not in (*class_names, "unknown", "healthy"):
            raise ConfigurationError(
                f"mask_palette names {name!r}, which is no class; the classes are {', '.join(class_names)}, beside "
                "healthy and unknown"
            )
        own = {"unknown": IGNORE, "healthy": 0}
        labels[colour_value(text)] = own[name] if name in own else list(class_names).index(name) + 1
    return labels


def colour_value(text: int | str) -> int:
    """Shown value of a grey value, or of a colour such as "#ff0000".

    Raises:
        ConfigurationError: If it is neither.
    """
    digits = str(text).removeprefix("#")
    try:
        if not str(text).startswith("#"):
            return int(text)
        if len(digits) != 6:
            raise ValueError
        red, green, blue = bytes.fromhex(digits)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no grey value and no colour; write 255 or '#ff0000'") from error
    return red if red == green == blue else COLOUR | int(digits, 16)


def _voc_colour(number: int) -> int:
    """Colour of a class of PASCAL VOC: its bits, three at a time, from the highest bit of each channel down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((number >> (3 * place + channel)) & 1) << (7 - place)
    return colour_value("#" + bytes(channels).hex())


def _together(facts: Sequence[MaskFacts]) -> Counter[int]:
    shown: Counter[int] = Counter()
    for one in facts:
        shown.update(one.shown)
    return shown


def _is_soft(facts: Sequence[MaskFacts], shown: Mapping[int, int]) -> bool:
    return len(shown) > (2 if any(one.is_lossy for one in facts) else _SOFT)


def _by_brightness(shown: Mapping[int, int], healthy: int | None) -> MaskRule:
    lit = brightness(np.array(list(shown), dtype=np.int32))
    dark, bright = int(lit.min()), int(lit.max())
    if bright - dark < _APART:
        raise LabelError(
            f"the masks hold {len(shown)} values from {dark} to {bright}, which nothing divides into healthy and "
            "defect (JPEG changes values and keeps no class numbers); save PNG, healthy black and defects white"
        )
    limit = (dark + bright) // 2
    inverted = healthy is not None and int(brightness(np.array(healthy, dtype=np.int32))) > limit
    return MaskRule("darker" if inverted else "brighter", limit=limit)


def _healthy_of(facts: Sequence[MaskFacts], shown: Mapping[int, int]) -> int:
    """Black; else white where the others are colours; else the first of a palette; else the darkest."""
    if _BLACK in shown or not shown:
        return _BLACK
    if _WHITE in shown and all(value & COLOUR for value in shown if value != _WHITE) and len(shown) > 1:
        return _WHITE
    firsts = {one.first for one in facts}
    if len(firsts) == 1 and (first := firsts.pop()) is not None:
        return first
    return (
        min(shown, key=lambda value: (int(brightness(np.array(value, dtype=np.int32))), value))
        if len(shown) > 1
        else _BLACK
    )


def _named(shown: Mapping[int, int]) -> str:
    names = [value_name(value) for value in sorted(shown)]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _counted(values: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different values and how often each is there."""
    if values.size and int(values.max()) < 1 << 16:
        counts = np.bincount(values.ravel())
        present = np.flatnonzero(counts)
        return present, counts[present]
    found, often = np.unique(values, return_counts=True)
    return found.astype(np.int64), often
