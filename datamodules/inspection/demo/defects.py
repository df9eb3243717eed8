"""The 13 kinds of defect of the generated inspection demo: each brush changes a surface and marks its exact pixels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from datamodules.inspection.demo.settings import DEFECT_CLASSES
from datamodules.inspection.demo.surface import Field, Surface, smooth_noise, step

Point = tuple[float, float]
Brush = Callable[[np.random.Generator, Surface, Point, float], Field]

EDGE_CLASSES = ("burr", "chip")  # they exist only where a part ends
_UNIT = 128  # sizes below are in pixels of an image of this side


def draw_defect(generator: np.random.Generator, surface: Surface, name: str, centre: Point, strength: float) -> None:
    """Draw one defect.

    Args:
        generator: Source of its form.
        surface: Part that it is drawn on; its mask is marked where the defect is.
        name: One of ``DEFECT_CLASSES``.
        centre: x and y in pixels; for the classes of an edge a point on it.
        strength: Contrast, 1 is plain to see.
    """
    covered = _BRUSHES[name](generator, surface, centre, strength)
    surface.mask[(covered > 0.5) & (surface.mask == 0)] = DEFECT_CLASSES.index(name) + 1


def line_distance(surface: Surface, points: list[Point]) -> Field:
    """Distance of each pixel to a polyline in pixels, float32 ``(S, S)``."""
    nearest = np.full(surface.rows.shape, np.inf, np.float32)
    for (x1, y1), (x2, y2) in pairwise(points):
        dx, dy = x2 - x1, y2 - y1
        place = ((surface.columns - x1) * dx + (surface.rows - y1) * dy) / max(dx * dx + dy * dy, 1e-6)
        place = np.clip(place, 0, 1)
        square = (surface.columns - x1 - place * dx) ** 2 + (surface.rows - y1 - place * dy) ** 2
        np.minimum(nearest, square, out=nearest)
    return np.asarray(np.sqrt(nearest), np.float32)


def walk(
    generator: np.random.Generator, start: Point, angle: float, steps: int, length: float, turn: float
) -> list[Point]:
    """A path of ``steps`` pieces of ``length`` pixels that turns by ``turn`` radians (deviation) at each."""
    points = [start]
    for _ in range(steps):
        points.append((points[-1][0] + length * np.cos(angle), points[-1][1] + length * np.sin(angle)))
        angle += generator.normal(0, turn)
    return points


def blob(generator: np.random.Generator, surface: Surface, centre: Point, radius: float, rough: float) -> Field:
    """Distance inside a round, uneven patch in pixels: positive within, negative outside; float32 ``(S, S)``."""
    dx, dy = surface.columns - centre[0], surface.rows - centre[1]
    turn, stretch = generator.uniform(0, np.pi), generator.uniform(0.7, 1.0)
    u = np.cos(turn) * dx + np.sin(turn) * dy
    v = (np.cos(turn) * dy - np.sin(turn) * dx) / stretch
    angle = np.arctan2(v, u)
    waves = [generator.normal(0, rough / k) * np.cos(k * angle + generator.uniform(0, 6.3)) for k in range(2, 7)]
    return np.asarray(radius * (1 + np.sum(waves, axis=0)) - np.hypot(u, v), np.float32)


def spots(generator: np.random.Generator, surface: Surface, centre: Point, spread: float, radii: list[float]) -> Field:
    """Distance inside the nearest of some discs around a point in pixels, positive within."""
    inside = np.full(surface.rows.shape, -np.inf, np.float32)
    for radius in radii:
        x, y = centre[0] + generator.normal(0, spread), centre[1] + generator.normal(0, spread)
        np.maximum(inside, radius - np.hypot(surface.columns - x, surface.rows - y), out=inside)
    return inside


def middle_out(
    generator: np.random.Generator, centre: Point, angle: float, length: float, pieces: int, turn: float
) -> list[Point]:
    """A path of ``length`` pixels with ``centre`` about its middle."""
    half = pieces // 2
    back = walk(generator, centre, angle + np.pi, half, length / pieces, turn)
    return back[:0:-1] + walk(generator, centre, angle, pieces - half, length / pieces, turn)


def _scratch(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A long straight groove with a bright floor."""
    scale = surface.size / _UNIT
    angle, width = generator.uniform(0, np.pi), generator.uniform(0.8, 1.3) * scale
    path = middle_out(generator, centre, angle, generator.uniform(30, 70) * scale, 6, 0.05)
    distance = line_distance(surface, path)
    profile = np.exp(-((distance / width) ** 2))
    surface.height -= 1.6 * strength * profile
    surface.blend(0.55 * strength * profile, (0.92, 0.92, 0.90))
    return step(width + 0.5 - distance) * (surface.depth > 0)


def _crack(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A dark jagged line with a branch or two."""
    scale = surface.size / _UNIT
    angle = generator.uniform(0, 2 * np.pi)
    path = middle_out(generator, centre, angle, generator.uniform(26, 50) * scale, 10, 0.55)
    distance = line_distance(surface, path)
    for _ in range(generator.integers(1, 3)):
        start = path[int(generator.integers(2, len(path) - 2))]
        fork = angle + generator.choice([-1, 1]) * generator.uniform(0.5, 1.1)
        distance = np.minimum(distance, line_distance(surface, walk(generator, start, fork, 4, 4 * scale, 0.5)) + 0.2)
    width = scale * (1.0 + 0.35 * smooth_noise(generator, surface.size, 4 * scale))
    profile = np.exp(-((distance / np.clip(width, 0.5, 2)) ** 2))
    surface.height -= 1.2 * strength * profile
    surface.blend(0.9 * strength * profile, (0.07, 0.06, 0.06))
    return step(1.5 * scale - distance) * (surface.depth > 0)


def _pit(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A single deep hole."""
    radius = generator.uniform(3.0, 5.5) * surface.size / _UNIT
    inside = blob(generator, surface, centre, radius, 0.08)
    bowl = np.clip(inside / radius, 0, 1)
    surface.height -= 3.5 * strength * np.sqrt(bowl)
    surface.blend(0.75 * strength * step(inside - 0.3, 1.0), (0.12, 0.11, 0.11))
    return step(inside)


def _porosity(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A cluster of tiny dark holes."""
    scale = surface.size / _UNIT
    radii = list(generator.uniform(0.9, 1.8, generator.integers(8, 17)) * scale)
    inside = spots(generator, surface, centre, 6 * scale, radii)
    surface.height -= strength * step(inside)
    surface.blend(0.85 * strength * step(inside), (0.10, 0.10, 0.10))
    return step(inside + 1.0)


def _stain(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A dried liquid: brownish film with a darker rim."""
    radius = generator.uniform(9, 16) * surface.size / _UNIT
    inside = blob(generator, surface, centre, radius, 0.12)
    film, rim = step(inside, 1.5), np.exp(-(((inside - 1.2) / 1.2) ** 2))
    surface.tint(strength * (0.65 * film + 0.35 * rim), (0.60, 0.55, 0.42))
    surface.gloss *= 1 - 0.6 * strength * film
    return step(inside)


def _corrosion(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A rough patch of rust."""
    scale = surface.size / _UNIT
    inside = blob(generator, surface, centre, generator.uniform(7, 13) * scale, 0.18)
    rough = smooth_noise(generator, surface.size, 1.1 * scale)
    ragged = step(inside + 1.5 * rough, 1.5)
    shade = np.clip(1 + 0.35 * rough, 0.3, 1.8)[..., None] * np.array([0.47, 0.24, 0.11], np.float32)
    surface.blend(0.9 * strength * ragged, shade.astype(np.float32))
    surface.height += 0.5 * strength * ragged * rough
    surface.gloss *= 1 - ragged
    return ragged


def _dent(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A smooth hollow: shade on the side of the light, light on the other."""
    radius = generator.uniform(7, 12) * surface.size / _UNIT
    outside = radius - blob(generator, surface, centre, radius, 0.05)
    surface.height -= 0.5 * radius * strength * np.exp(-((outside / (0.62 * radius)) ** 2))
    return step(0.95 * radius - outside)


def _blister(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A raised bubble under the coat, with a crisp foot and a highlight."""
    radius = generator.uniform(5, 9) * surface.size / _UNIT
    inside = blob(generator, surface, centre, radius, 0.05)
    dome = np.sqrt(np.clip(1 - (1 - np.clip(inside / radius, 0, 1)) ** 2, 0, 1))
    surface.height += 0.55 * radius * strength * dome
    surface.gloss += 0.35 * strength * step(inside)
    surface.tint(strength * np.exp(-(((inside + 0.4) / 1.2) ** 2)), (0.30, 0.30, 0.32))
    return step(inside + 0.3)


def _burr(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """Bright ragged teeth of metal that stand out over the edge."""
    scale = surface.size / _UNIT
    outward = _outward(surface)
    along = (surface.rows - centre[1]) * outward[0] - (surface.columns - centre[0]) * outward[1]
    reach = np.full(along.shape, -np.inf, np.float32)
    span = generator.uniform(6, 11) * scale
    for _ in range(generator.integers(4, 8)):
        place, length = generator.uniform(-span, span), generator.uniform(3.5, 8) * scale
        width = generator.uniform(1.6, 3.2) * scale
        np.maximum(reach, length * (1 - np.abs(along - place) / width), out=reach)
    # strength makes them shorter too: metal keeps its brightness
    tooth = step(np.minimum(surface.depth + (0.5 + 0.5 * strength) * reach, 2.0 * scale - surface.depth))
    tooth *= np.abs(along) < span + 3 * scale
    tooth *= reach > 0
    surface.part = np.maximum(surface.part, tooth)
    surface.blend(tooth * (0.4 + 0.6 * strength), (0.86, 0.86, 0.84))
    surface.height += tooth
    return tooth


def _chip(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A piece broken out of the edge, with a bright face of fracture."""
    radius = generator.uniform(6, 11) * surface.size / _UNIT
    inside = blob(generator, surface, centre, radius, 0.16)
    on_part = step(surface.depth)
    bite = step(inside - 0.40 * radius)
    face = step(inside) * (1 - bite)
    facets = smooth_noise(generator, surface.size, 1.5)
    surface.blend(face * (0.25 + 0.65 * strength), (0.80, 0.79, 0.77))
    surface.height += face * strength * (0.9 * facets + 0.25 * np.minimum(inside, 0.4 * radius))
    surface.part *= 1 - bite
    return step(inside) * on_part


def _inclusion(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A foreign particle pressed into the metal: dark, angular, drawn out."""
    scale = surface.size / _UNIT
    turn = generator.uniform(0, np.pi)
    long, broad = generator.uniform(6, 10) * scale, generator.uniform(2.5, 4) * scale
    inside = np.full(surface.rows.shape, np.inf, np.float32)
    sides = int(generator.integers(5, 8))
    for angle in np.linspace(0, 2 * np.pi, sides, endpoint=False) + generator.normal(0, 0.15, sides):
        normal = np.cos(angle) / long, np.sin(angle) / broad
        norm = np.hypot(*normal)
        x = np.cos(turn) * (surface.columns - centre[0]) + np.sin(turn) * (surface.rows - centre[1])
        y = np.cos(turn) * (surface.rows - centre[1]) - np.sin(turn) * (surface.columns - centre[0])
        np.minimum(inside, (1 - normal[0] * x - normal[1] * y) / norm, out=inside)
    grains = 0.06 * smooth_noise(generator, surface.size, 1.0)[..., None]
    surface.blend(
        0.95 * strength * step(inside), (np.array([0.17, 0.16, 0.22], np.float32) + grains).astype(np.float32)
    )
    surface.blend(0.5 * strength * np.exp(-(((inside + 1) / 0.8) ** 2)), (0.85, 0.85, 0.85))
    return step(inside)


def _scuff(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """A rubbed patch: many fine parallel marks."""
    scale = surface.size / _UNIT
    inside = blob(generator, surface, centre, generator.uniform(9, 15) * scale, 0.10)
    angle = generator.uniform(0, np.pi)
    across = np.cos(angle) * surface.columns + np.sin(angle) * surface.rows
    along = np.cos(angle) * surface.rows - np.sin(angle) * surface.columns
    wave = smooth_noise(generator, surface.size, 5 * scale)
    lines = np.sin(2 * np.pi * across / (generator.uniform(2.6, 3.6) * scale) + 0.8 * wave) > 0.25
    broken = np.sin(along / (4 * scale) + 3 * wave) > -0.6
    marks = lines * broken * step(inside, 2.5)
    surface.blend((0.5 * strength * marks).astype(np.float32), (0.90, 0.90, 0.90))
    surface.height -= (0.5 * strength * marks).astype(np.float32)
    surface.gloss *= 1 - 0.5 * strength * step(inside, 2.5)
    return step(inside)


def _spatter(generator: np.random.Generator, surface: Surface, centre: Point, strength: float) -> Field:
    """Beads of weld metal, bright and round, with a scorched ring."""
    scale = surface.size / _UNIT
    radii = list(generator.uniform(1.8, 3.6, generator.integers(3, 7)) * scale)
    inside = spots(generator, surface, centre, 6 * scale, radii)
    surface.tint(0.8 * strength * step(inside + 3.0, 1.5), (0.50, 0.40, 0.32))
    surface.blend(0.8 * strength * step(inside), (0.70, 0.68, 0.64))
    surface.height += 1.4 * strength * np.sqrt(np.clip(inside, 0, None))
    surface.gloss += 0.5 * strength * step(inside)
    return step(inside + 0.5)


def _outward(surface: Surface) -> Point:
    if surface.outward is None:
        raise ValueError("a defect of the edge needs a part whose edge is in the picture")
    return surface.outward


_BRUSHES: dict[str, Brush] = {
    "scratch": _scratch,
    "crack": _crack,
    "pit": _pit,
    "porosity": _porosity,
    "stain": _stain,
    "corrosion": _corrosion,
    "dent": _dent,
    "blister": _blister,
    "burr": _burr,
    "chip": _chip,
    "inclusion": _inclusion,
    "scuff": _scuff,
    "spatter": _spatter,
}
