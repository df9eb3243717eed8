"""One image of the generated inspection demo: which part, what is on it, and who may know."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from datamodules.inspection.demo.defects import EDGE_CLASSES, Point, draw_defect
from datamodules.inspection.demo.lookalikes import LOOKALIKES, draw_lookalike
from datamodules.inspection.demo.settings import DEFECT_CLASSES, InspectionDemoSettings
from datamodules.inspection.demo.surface import NEW_SETUP, ORIGINAL_SETUP, Picture, Surface, blank_part, photograph

Domain = Literal["original", "new"]
Split = Literal["train", "val", "test"]
DOMAINS: tuple[Domain, ...] = ("original", "new")
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_EDGE_SHARE = 0.35  # of the parts without a defect that needs an edge
_MOST_DEFECTS = 3
_TRIES = 30  # places tried before a crowded part takes one defect less


class Part(NamedTuple):
    """One made image.

    Attributes:
        image: uint8 ``(S, S, 3)``.
        mask: uint8 ``(S, S)``, 0 healthy, c + 1 class c.
        flagged: Whether it was flagged healthy when the image was taken.
    """

    image: Picture
    mask: Picture
    flagged: bool


def draw_part(settings: InspectionDemoSettings, domain: Domain, split: Split, number: int) -> Part:
    """Draw one image of the demo; it depends on nothing but these four."""
    place = [settings.seed, DOMAINS.index(domain), SPLITS.index(split), number]
    generator = np.random.default_rng(place)
    setup = NEW_SETUP if domain == "new" else ORIGINAL_SETUP
    defects = _choose_defects(generator, settings, number)
    lookalikes = _choose_lookalikes(generator, settings, split) if domain == "new" else []
    edge = any(name in EDGE_CLASSES for name in defects) or generator.uniform() < _EDGE_SHARE
    surface = blank_part(generator, setup, settings.size, edge=edge)
    taken: list[Point] = []
    strength = settings.contrast if domain == "new" else 1.0
    for name in lookalikes:  # before the defects: a defect is never hidden by what is harmless
        if (centre := _free_place(generator, surface, taken, on_edge=False)) is not None:
            draw_lookalike(generator, surface, name, centre, settings.lookalike_contrast * generator.uniform(0.8, 1.1))
    for name in defects:
        if (centre := _free_place(generator, surface, taken, on_edge=name in EDGE_CLASSES)) is not None:
            draw_defect(generator, surface, name, centre, strength * generator.uniform(0.65, 1.15))
    healthy = not surface.mask.any()
    flagged = healthy and bool(generator.uniform() < settings.flagged_share)
    return Part(photograph(generator, setup, surface), surface.mask, flagged)


def _choose_defects(generator: np.random.Generator, settings: InspectionDemoSettings, number: int) -> list[str]:
    """Names of a part's defects: the first goes round all classes, so that each occurs in every split."""
    if generator.uniform() < settings.healthy_share:
        return []
    names = [DEFECT_CLASSES[number % len(DEFECT_CLASSES)]]
    while len(names) < _MOST_DEFECTS and generator.uniform() < settings.second_defect:
        names.append(str(generator.choice(DEFECT_CLASSES)))
    return sorted(names, key=lambda name: name not in EDGE_CLASSES)  # they have the fewest places


def _choose_lookalikes(generator: np.random.Generator, settings: InspectionDemoSettings, split: Split) -> list[str]:
    share = settings.lookalike_share if split == "train" else settings.lookalike_share_eval
    if generator.uniform() >= share:
        return []
    return [str(name) for name in generator.choice(LOOKALIKES, generator.integers(1, 4))]


def _free_place(generator: np.random.Generator, surface: Surface, taken: list[Point], *, on_edge: bool) -> Point | None:
    """A point of the part away from those that are taken, which it joins; None when the part is crowded."""
    size = surface.size
    for _ in range(_TRIES):
        x, y = (float(value) for value in generator.uniform(0.14 * size, 0.86 * size, 2))
        depth = float(surface.depth[round(y), round(x)])
        if on_edge and surface.outward is not None:
            x, y = x + depth * surface.outward[0], y + depth * surface.outward[1]
        elif depth < 0.10 * size:
            continue
        inside = 0.08 * size < min(x, y) and max(x, y) < 0.92 * size
        if inside and all(np.hypot(x - other[0], y - other[1]) > 0.24 * size for other in taken):
            taken.append((x, y))
            return x, y
    return None
