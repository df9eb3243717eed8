"""Colours and lines that tell any number of classes apart."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

Dashes = tuple[int, tuple[float, ...] | None]  # as matplotlib takes them: offset, lengths of ink and gap

_FIRST = (
    "#2166ac", "#d6604d", "#1b7837", "#8073ac", "#e08214", "#35978f", "#c51b7d", "#8c510a", "#4d4d4d", "#9bc53d",
)  # fmt: skip
_STEPS = 12  # of each of red, green and blue, from which further colours are picked
_LIGHTNESS = (0.35, 0.8)  # of these; darker ones look black, lighter ones vanish on white
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


class Look(NamedTuple):
    """How the line of one class is drawn.

    Attributes:
        colour: As #rrggbb.
        dashes: Solid for the first classes, then a dash and ever more dots.
    """

    colour: str
    dashes: Dashes


def distinct_looks(number: int) -> list[Look]:
    """Looks of lines, no two alike; the colour alone tells the first ten apart, colour and dashes the others.

    Example:
        >>> [look.dashes for look in distinct_looks(11)][-2:]
        [(0, None), (0, (6.0, 2.0))]
    """
    colours = distinct_colours(number)
    return [Look(colour, dash(index // len(_FIRST))) for index, colour in enumerate(colours)]


def dash(number: int) -> Dashes:
    """The solid line for 0, a dashed one for 1, then a dot more between two dashes each time."""
    return (0, (6.0, 2.0) + (1.2, 2.0) * (number - 1)) if number else (0, None)


@cache
def distinct_colours(number: int, first: tuple[str, ...] = _FIRST) -> tuple[str, ...]:
    """Colours as #rrggbb: the ``first`` ones in their order, then each time the one farthest from all before it.

    Colours repeat after some 1,200, which nobody can tell apart.
    """
    picked = list(first[:number])
    others = _lattice()
    places = _oklab(others)
    far = np.min([_distance(places, colour) for colour in first], axis=0)
    while len(picked) < number and far.max() > 0:
        picked.append(to_hex(others[int(far.argmax())].tolist()))
        far = np.minimum(far, _distance(places, picked[-1]))
    return tuple(picked[index % len(picked)] for index in range(number))


def _lattice() -> NDArray[np.float64]:
    """Colours ``(N, 3)`` to pick from, red, green and blue in 0..1."""
    levels = np.linspace(0, 255, _STEPS).round() / 255  # which a hexadecimal name keeps
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _oklab(colours)[:, 0]
    return np.asarray(colours[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])], dtype=np.float64)


def _oklab(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of sRGB colours ``(N, 3)`` in Ottosson's Oklab, where equal distances look equal."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_OKLAB.T, dtype=np.float64)


def _distance(places: NDArray[np.float64], colour: str) -> NDArray[np.float64]:
    moved = places - _oklab(np.array([to_rgb(colour)]))
    return np.asarray(np.linalg.norm(moved, axis=1).round(9), dtype=np.float64)
