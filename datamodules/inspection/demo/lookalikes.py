"""Harmless structures of the generated demo's new line that look like defects: lint, drops, marks, shadows, glare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datamodules.inspection.demo.defects import Point, blob, line_distance, middle_out, spots
from datamodules.inspection.demo.surface import Surface, step

Brush = Callable[[np.random.Generator, Surface, Point, float], None]


def draw_lookalike(generator: np.random.Generator, surface: Surface, name: str, centre: Point, strength: float) -> None:
    """Draw one harmless structure; the surface's mask stays as it is.

    Args:
        generator: Source of its form.
        surface: Part that it is drawn on.
        name: One of ``LOOKALIKES``.
        centre: x and y in pixels.
        strength: Contrast, 1 is plain to see.
    """
    colour, height, gloss = surface.colour.copy(), surface.height.copy(), surface.gloss.copy()
    _BRUSHES[name](generator, surface, centre, surface.size / 128)
    surface.colour = colour + strength * (surface.colour - colour)
    surface.height = height + strength * (surface.height - height)
    surface.gloss = gloss + strength * (surface.gloss - gloss)


def _lint(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A curled textile fibre, pale blue, with a soft shadow."""
    path = middle_out(generator, centre, generator.uniform(0, 6.3), generator.uniform(25, 45) * scale, 12, 0.35)
    shifted = [(x + 1.8 * scale, y + 1.8 * scale) for x, y in path]
    surface.tint(0.5 * np.exp(-((line_distance(surface, shifted) / (1.5 * scale)) ** 2)), (0.6, 0.6, 0.6))
    surface.blend(0.5 * np.exp(-((line_distance(surface, path) / scale) ** 2)), (0.66, 0.72, 0.86))


def _drop(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A drop of clear coolant: a lens with a dark rim and a highlight."""
    radius = generator.uniform(4, 7) * scale
    inside = blob(generator, surface, centre, radius, 0.03)
    surface.height += 0.18 * radius * np.sqrt(np.clip(inside / radius, 0, 1))
    surface.gloss += 0.3 * step(inside)
    surface.tint(0.5 * np.exp(-((inside / scale) ** 2)), (0.5, 0.55, 0.6))


def _oil(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A thin film of oil: darker and glossy, without a rim."""
    inside = blob(generator, surface, centre, generator.uniform(9, 15) * scale, 0.10)
    surface.tint(0.8 * step(inside, 3 * scale), (0.50, 0.56, 0.64))
    surface.gloss += 0.15 * step(inside, 4 * scale)


def _chalk(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A stroke of marking chalk."""
    path = middle_out(generator, centre, generator.uniform(0, 6.3), generator.uniform(20, 34) * scale, 5, 0.25)
    grains = generator.uniform(0, 1, surface.rows.shape).astype(np.float32)
    surface.blend(0.4 * step(2.2 * scale - line_distance(surface, path), 1.2) * (grains > 0.4), (0.85, 0.85, 0.75))


def _dots(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A dot-peened code: a small grid of dark points."""
    pitch, turn = 3.4 * scale, generator.uniform(0, 1.6)
    inside = np.full(surface.rows.shape, -np.inf, np.float32)
    for row in range(-2, 3):
        for column in range(-2, 3):
            if generator.uniform() < 0.65:
                x = centre[0] + pitch * (column * np.cos(turn) - row * np.sin(turn))
                y = centre[1] + pitch * (column * np.sin(turn) + row * np.cos(turn))
                np.maximum(inside, 1.1 * scale - np.hypot(surface.columns - x, surface.rows - y), out=inside)
    surface.height -= 0.35 * step(inside)
    surface.blend(0.45 * step(inside), (0.14, 0.14, 0.16))


def _glare(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """Small reflections of the lamps."""
    radii = list(generator.uniform(1.5, 3.5, generator.integers(2, 5)) * scale)
    inside = spots(generator, surface, centre, 6 * scale, radii)
    surface.blend(0.5 * step(inside, 2.0 * scale), (1.0, 1.0, 1.0))


def _shadow(generator: np.random.Generator, surface: Surface, centre: Point, scale: float) -> None:
    """A soft shadow of the gripper, a straight band."""
    path = middle_out(generator, centre, generator.uniform(0, 6.3), generator.uniform(18, 30) * scale, 2, 0.0)
    surface.tint(0.8 * step(4.5 * scale - line_distance(surface, path), 2.5 * scale), (0.55, 0.55, 0.58))


_BRUSHES: dict[str, Brush] = {
    "lint": _lint,
    "drop": _drop,
    "oil": _oil,
    "chalk": _chalk,
    "dots": _dots,
    "glare": _glare,
    "shadow": _shadow,
}
LOOKALIKES = tuple(_BRUSHES)
