"""Moving pictures drawn by numpy and Pillow: the pristine content of the demo clips.

Every kind is a function of a generator, a frame count and a frame size; :func:`render` calls it by name. Parameters
are drawn widely (scale, contrast, colour, speed), so that no simple statistic of the pixels tells the quality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from datamodules.video_quality.demo.drawing import (
    Clip,
    Field,
    add_grain,
    camera,
    cells,
    fractal,
    layer,
    paint,
    palette,
    stack_layers,
    to_bytes,
    unit,
    vertical_gradient,
)
from datamodules.video_quality.demo.figures import face, game, text

ContentKind = Literal[
    "texture", "stones", "shapes", "landscape", "city", "face", "text", "lines", "water", "confetti", "game"
]
CONTENT_KINDS: tuple[ContentKind, ...] = get_args(ContentKind)
_HILLS = ((0.05, 0.12), (0.22, 0.4), (0.22, 0.4), (0.55, 0.75))  # hues: autumn, woods twice as often, blue distance


def render(kind: ContentKind, generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Draw one clip of a kind: at least 1 frame of 16 x 16 pixels; the same state of the generator draws the same.

    Returns:
        uint8 ``(count, height, width, 3)``, RGB.

    Example:
        >>> import numpy
        >>> render("water", numpy.random.default_rng(0), 2, 32, 48).shape
        (2, 32, 48, 3)
    """
    clip = _PAINTERS[kind](generator, count, height, width)
    sigma = float(generator.choice([0.0, 0.0, 1.0, 2.0, 3.0]))
    return add_grain(generator, clip, sigma)


def _texture(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Stone, wood, grass or cloud: one fractal surface under a moving camera."""
    rows, columns = _margin(height, width)
    exponent = generator.uniform(0.9, 1.9)
    stretch = float(generator.choice([1, 1, 4, 0.25, 8]))
    coarse = fractal(generator, rows, columns, 1.8)
    fine = fractal(generator, rows, columns, exponent, stretch)
    colours = palette(generator, 5, (generator.uniform(0.05, 0.3), generator.uniform(0.7, 1)))
    surface = paint(unit(0.5 * coarse + generator.uniform(0.4, 1) * fine), colours)
    return camera(
        generator, to_bytes(surface), count, height, width, generator.uniform(0.5, 4), generator.choice([0, 0.08, -0.1])
    )


def _stones(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Cobbles, scales or stained glass: Voronoi cells with joints, each cell in its own shade."""
    rows, columns = _margin(height, width)
    spacing = generator.uniform(0.04, 0.13) * width
    border, index = cells(generator, rows, columns, spacing)
    colours = palette(generator, 6, (0.25, 0.9))
    shade = generator.uniform(0, 1, index.max() + 1)[index].astype(np.float32)
    rough = fractal(generator, rows, columns, generator.uniform(0.7, 1.5))
    joint = np.clip(border / (0.05 * spacing + 0.7), 0, 1)
    bevel = np.clip(border / (0.3 * spacing), 0, 1) ** 0.5
    surface = paint(np.clip(shade + 0.08 * rough, 0, 1), colours)
    surface = surface * (0.55 + 0.45 * bevel)[..., None] + (6 * generator.uniform(0, 2)) * rough[..., None]
    surface = surface * joint[..., None] + 30 * (1 - joint)[..., None]
    return camera(generator, to_bytes(surface), count, height, width, generator.uniform(0.5, 3.5), 0.06)


def _shapes(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Shaded balls, rings and rounded tiles that cross a soft gradient."""
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
    angle = generator.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) + 0.5
    back = paint(np.clip(slope, 0, 1), palette(generator, 3, (0.25, 0.95)))
    number = int(generator.integers(4, 10))
    colours = palette(generator, number, (0.4, 1), 0.9)
    radius = generator.uniform(0.06, 0.2, number) * min(height, width)
    place = generator.uniform(0.1, 0.9, (number, 2)) * [width, height]
    speed = generator.normal(0, 2.2, (number, 2))
    form = generator.integers(0, 3, number)
    stripes = generator.uniform(3, 9, number)
    frames = []
    for position in range(count):
        picture = back.copy()
        for item in range(number):
            centre = place[item] + speed[item] * position
            dx, dy, size = x - centre[0], y - centre[1], radius[item]
            distance = np.hypot(dx, dy) - size  # signed: below 0 inside
            if form[item] == 1:
                distance = np.abs(distance + 0.3 * size) - 0.3 * size
            elif form[item] == 2:
                distance = np.hypot(np.maximum(np.abs(dx) - 0.7 * size, 0), np.maximum(np.abs(dy) - 0.7 * size, 0))
                distance -= 0.3 * size
            shadow = np.clip(0.5 - (distance - 4) / 14, 0, 1) * 0.3
            light = 1.1 - 0.5 * np.hypot(dx + 0.4 * size, dy + 0.4 * size) / size
            if form[item] == 2:
                light = 0.85 + 0.15 * np.sign(np.sin((dx + dy) / stripes[item] * np.pi))
            cover = np.clip(0.5 - distance, 0, 1)[..., None]
            picture *= 1 - (shadow * (1 - cover[..., 0]))[..., None]
            picture = picture * (1 - cover) + cover * colours[item] * np.clip(light, 0.2, 1.2)[..., None]
        frames.append(to_bytes(picture))
    return np.stack(frames)


def _landscape(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Hills behind hills under a cloudy sky, each nearer one faster and less hazy, with trees in front."""
    speed = generator.uniform(0.6, 3) * generator.choice([-1, 1])
    columns = width + int(abs(speed) * count) + 8
    sky = _sky(generator, height, columns)
    clouds = unit(fractal(generator, height, columns, 1.7, 2.5), 1.2)[..., None] ** 2
    sky = sky * (1 - 0.7 * clouds) + 250 * 0.7 * clouds
    layers = [(layer(sky, np.ones((height, columns), np.float32)), 0.1 * speed)]
    hills = int(generator.integers(3, 6))
    ground = palette(generator, hills, (0.75, 0.2), 0.6, _HILLS[int(generator.integers(len(_HILLS)))])
    y = np.arange(height, dtype=np.float32)[:, None]
    for depth in range(hills):
        near = (depth + 1) / hills
        ridge = fractal(generator, 4, columns, 1.4)[0] + 0.5 * fractal(generator, 4, columns, 0.9)[0] * near
        top = height * (0.35 + 0.5 * near) - 0.06 * height * ridge
        if depth == hills - 1:
            top = top - _tree_line(generator, columns, 0.13 * height)
        rough = fractal(generator, height, columns, generator.uniform(0.8, 1.2))
        haze = 0.45 * (1 - near)
        shade = 1 + (0.05 + 0.14 * near) * rough - 0.25 * np.clip((y - top) / height, 0, 1)
        layers.append(
            (
                layer((ground[depth] * (1 - haze) + 190 * haze) * shade[..., None], np.clip(y - top + 0.5, 0, 1)),
                speed * near,
            )
        )
    return stack_layers(layers, count, height, width)


def _sky(generator: np.random.Generator, height: int, width: int) -> Field:
    """A blue day, a grey one or a sunset, float32 ``(H, W, 3)``."""
    top = palette(generator, 3, (0.55, 0.95), generator.choice([0.15, 0.6]), (0.54, 0.64))
    low = palette(generator, 3, (0.9, 1), 0.5, (0.02, 0.14))
    return vertical_gradient(height, width, np.stack([top[0], top[1], low[1] if generator.uniform() < 0.5 else top[2]]))


def _tree_line(generator: np.random.Generator, columns: int, tallest: float) -> Field:
    """Heights of a row of firs above the ground, pixels, float32 ``(columns,)``."""
    x = np.arange(columns, dtype=np.float32)
    tops = np.zeros(columns, np.float32)
    for centre in generator.uniform(0, columns, max(3, columns // 14)):
        tall = generator.uniform(0.4, 1) * tallest
        fall = np.abs(x - centre) / (0.28 * tall)
        tops = np.maximum(tops, tall * (1 - fall) + 0.08 * tall * np.sin(fall * 18))
    return tops


def _city(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """A skyline with windows, by night or by day, in two or three layers."""
    speed = generator.uniform(0.5, 3) * generator.choice([-1, 1])
    columns = width + int(abs(speed) * count) + 8
    night = generator.uniform() < 0.6
    sky = vertical_gradient(height, columns, palette(generator, 3, (0.05, 0.45) if night else (0.7, 1), 0.8))
    if night:
        stars = generator.uniform(size=(height, columns)) > 0.997
        sky[stars] = generator.uniform(120, 255, (int(stars.sum()), 1))
    layers = [(layer(sky, np.ones((height, columns), np.float32)), 0.0)]
    rows = int(generator.integers(2, 4))
    for depth in range(rows):
        near = (depth + 1) / rows
        colour = np.zeros((height, columns, 3), np.float32)
        alpha = np.zeros((height, columns), np.float32)
        left = 0
        while left < columns:
            wide = int(generator.uniform(0.08, 0.2) * width * (0.6 + 0.6 * near))
            top = int(height * (0.75 - 0.5 * generator.beta(2, 3) - 0.25 * (1 - near)))
            _building(generator, colour[max(top, 0) :, left : left + wide], night, near)
            alpha[max(top, 0) :, left : left + wide] = 1
            left += wide + int(generator.integers(0, max(2, wide // 4)))
        layers.append((layer(colour, alpha), speed * near))
    return stack_layers(layers, count, height, width)


def _building(generator: np.random.Generator, area: Field, night: bool, near: float) -> None:
    """Fill one block of a skyline, float32 ``(H, W, 3)``, in place: a wall and a grid of windows."""
    wall = palette(generator, 3, (0.1, 0.35) if night else (0.35, 0.9), 0.4)[1]
    area[:] = wall * (1 - 0.12 * np.linspace(0, 1, area.shape[0])[:, None, None])
    pitch_y, pitch_x = generator.integers(6, 13, 2)
    high, wide = max(2, int(0.55 * pitch_y)), max(2, int(0.5 * pitch_x))
    lit = palette(generator, 2, (0.8, 1), 0.5)[1] if night else wall * 0.45
    share = generator.uniform(0.2, 0.7) if night else 1.0
    for row in range(3, area.shape[0] - high, pitch_y):
        for column in range(3, area.shape[1] - wide - 1, pitch_x):
            if generator.uniform() < share:
                area[row : row + high, column : column + wide] = lit * generator.uniform(0.6, 1) * (0.5 + 0.5 * near)


def _lines(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Fine patterns: rings, gratings, weave or a wave of stripes, drifting."""
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
    period = generator.uniform(6, 16)
    angle = generator.uniform(0, np.pi)
    form = int(generator.integers(0, 4))
    colours = palette(generator, 4, (generator.uniform(0, 0.3), generator.uniform(0.7, 1)))
    sharp = generator.uniform(0.6, 1.6)
    speed = generator.uniform(0.3, 1.6)
    centre = generator.uniform(0.2, 0.8, 2) * [width, height]
    relief = 8 * fractal(generator, height, width, 2.4)
    # Woven or painted on something: the surface keeps the pattern from being nothing but one frequency.
    surface = fractal(generator, height, width, generator.uniform(0.9, 1.5)) * generator.uniform(0.2, 0.6)
    frames = []
    for position in range(count):
        shift = speed * position
        along = np.cos(angle) * x + np.sin(angle) * y
        across = -np.sin(angle) * x + np.cos(angle) * y
        if form == 0:
            phase = np.hypot(x - centre[0] - shift, y - centre[1]) * (1 + 0.3 * along / width)
        elif form == 1:
            phase = along + shift + relief
        elif form == 2:
            phase = along + shift + 0.06 * width * np.sin(across / width * 9 + 0.15 * position)
        else:
            phase = along + shift
        wave = np.sin(2 * np.pi * phase / period)
        if form == 3:  # weave: over and under in turn
            wave = np.where(np.sin(2 * np.pi * across / period) > 0, wave, np.cos(2 * np.pi * across / period))
        field = unit(np.asarray(wave + surface, np.float32), sharp)
        light = 0.75 + 0.25 * np.sin(along / width * 3 + 1)
        frames.append(to_bytes(paint(field, colours) * light[..., None]))
    return np.stack(frames)


def _water(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Waves that run towards the viewer below a horizon, with glints."""
    horizon = generator.uniform(0.15, 0.45)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    depth = 0.3 / np.maximum(y - horizon, 0.02)  # distance of the water along each row
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * depth
    number = 16
    length = generator.uniform(1, 2) * 1.28 ** np.arange(number)  # waves a unit of distance
    angle = generator.normal(0, 0.5, number)
    start = generator.uniform(0, 2 * np.pi, number)
    # A wave finer than some pixels fades out instead of flickering: pixels a unit of distance along each row.
    pixels = np.minimum(0.3 * height / depth**2, width / 2 / depth)
    fade = [np.clip(pixels / (3.0 * wave) - 0.4, 0, 1) for wave in length]
    colours = palette(generator, 5, (0.12, 1), 0.85, (0.44, 0.62))
    sky = _sky(generator, height, width)
    clouds = unit(fractal(generator, height, width, 1.7, 3))[..., None]
    sky = sky * (1 - 0.4 * clouds) + 245 * 0.4 * clouds
    haze = (np.clip(1.2 - (y - horizon) * 5, 0, 1) ** 2)[..., None]
    shore = np.clip((y - horizon) * height + 0.5, 0, 1)[..., None]
    speed = generator.uniform(0.15, 0.5)
    frames = []
    for position in range(count):
        surface = np.zeros((height, width), np.float32)
        for wave, turn, phase, visible in zip(length, angle, start, fade, strict=True):
            run = 2 * np.pi * wave * (np.cos(turn) * depth + np.sin(turn) * x) + phase + speed * wave**0.5 * position
            surface += visible * np.sin(run).astype(np.float32) / wave**0.45
        field = np.clip(0.42 + 0.16 * surface, 0, 1)
        water = paint(field, colours) * (1 - 0.6 * haze) + 0.6 * haze * sky[-1, 0]
        frames.append(to_bytes(sky * (1 - shore) + shore * water))
    return np.stack(frames)


def _confetti(generator: np.random.Generator, count: int, height: int, width: int) -> Clip:
    """Snow, sparks or confetti over a dark gradient, each flake at its own depth and speed."""
    colours = palette(generator, 3, (0.05, generator.uniform(0.3, 0.6)), 0.8)
    back = vertical_gradient(height, width, colours) + 6 * fractal(generator, height, width, 1.5)[..., None]
    number = int(generator.integers(60, 260))
    near = generator.uniform(0.2, 1, number) ** 1.5
    place = generator.uniform(0, 1, (number, 2)) * [width + 40, height + 40]
    fall = np.stack([generator.normal(0, 0.8, number), 0.5 + 3.5 * near], 1)
    radius = (0.7 + 3.4 * near) * min(height, width) / 288
    inks = palette(generator, 6, (0.7, 1), generator.choice([0.0, 0.9]))[generator.integers(0, 6, number)]
    frames = []
    for position in range(count):
        picture = back.copy()
        spots = (place + fall * position) % [width + 40, height + 40] - 20
        for (x, y), size, ink in zip(spots, radius, inks, strict=True):
            left, top = int(x - size - 2), int(y - size - 2)
            right, bottom = int(x + size + 3), int(y + size + 3)
            area = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            if area.size == 0:
                continue
            rows, columns = np.mgrid[: area.shape[0], : area.shape[1]]
            cover = np.clip(size + 0.5 - np.hypot(rows + max(top, 0) - y, columns + max(left, 0) - x), 0, 1)[..., None]
            area[:] = area * (1 - cover) + cover * ink
        frames.append(to_bytes(picture))
    return np.stack(frames)


def _margin(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a canvas with room for a camera path."""
    return height + max(24, height // 4), width + max(24, width // 4)


_PAINTERS: dict[ContentKind, Callable[[np.random.Generator, int, int, int], Clip]] = {
    "texture": _texture,
    "stones": _stones,
    "shapes": _shapes,
    "landscape": _landscape,
    "city": _city,
    "face": face,
    "text": text,
    "lines": _lines,
    "water": _water,
    "confetti": _confetti,
    "game": game,
}
