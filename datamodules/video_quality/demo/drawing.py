"""Brushes of the generated demo clips: fractal fields, palettes, a moving camera, drifting layers, grain."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
Picture = NDArray[np.uint8]
Clip = NDArray[np.uint8]


def fractal(generator: np.random.Generator, height: int, width: int, exponent: float, stretch: float = 1.0) -> Field:
    """Gaussian field whose amplitude falls as frequency ** -exponent, mean 0, deviation 1.

    Args:
        generator: Source of the noise.
        height: Rows.
        width: Columns.
        exponent: 0 is white noise, 1 rough stone, 2 soft clouds.
        stretch: Above 1 the pattern is drawn out along the rows (wood, water), below 1 along the columns (grass).

    Returns:
        float32 ``(height, width)``; it wraps around at its edges.
    """
    noise = np.fft.rfft2(generator.standard_normal((height, width), np.float32))
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :] * stretch
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # no mean
    shaped = np.fft.irfft2(noise * frequency**-exponent, s=(height, width))
    return np.asarray(shaped / shaped.std(), np.float32)


def unit(field: Field, gain: float = 0.8) -> Field:
    """Squeeze a field of deviation 1 into 0..1."""
    return np.asarray(0.5 + 0.5 * np.tanh(gain * field), np.float32)


def cells(generator: np.random.Generator, height: int, width: int, spacing: float) -> tuple[Field, NDArray[np.intp]]:
    """Voronoi cells: the distance to the nearest border in pixels, and each pixel's cell number."""
    from scipy.spatial import cKDTree

    lines = [np.arange(-spacing, side + spacing, spacing, dtype=np.float64) for side in (height, width)]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 2)
    seeds = grid + generator.uniform(0, 0.9 * spacing, grid.shape)
    pixels = np.indices((height, width)).reshape(2, -1).T
    answer = cKDTree(seeds).query(pixels, k=2)
    distance, index = np.asarray(answer[0]), np.asarray(answer[1])
    border = (distance[:, 1] - distance[:, 0]) / 2
    return border.reshape(height, width).astype(np.float32), index[:, 0].reshape(height, width)


def palette(
    generator: np.random.Generator,
    count: int,
    light: tuple[float, float] = (0.1, 0.95),
    vivid: float = 0.7,
    hues: tuple[float, float] = (0.0, 1.0),
) -> NDArray[np.float32]:
    """Colours that go together, dark to light; all ranges lie in 0..1, the first hue's from red over green to blue.

    Returns:
        float32 ``(count, 3)``, 0..255.
    """
    hue = generator.uniform(*hues)
    step = generator.choice([0.03, 0.07, 0.12, 0.45]) if hues == (0.0, 1.0) else generator.normal(0, 0.03)
    rows = []
    for position, value in enumerate(np.linspace(*light, count)):
        saturation = vivid * (1 - 0.6 * position / max(count - 1, 1)) * generator.uniform(0.6, 1)
        rows.append(colorsys.hsv_to_rgb((hue + step * position + generator.normal(0, 0.01)) % 1, saturation, value))
    return np.asarray(rows, np.float32) * 255


def paint(field: Field, colours: NDArray[np.float32]) -> Field:
    """Colour a field of 0..1 by a palette: float32 ``(H, W, 3)``, 0..255."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(field, stops, colours[:, channel]) for channel in range(3)], -1).astype(np.float32)


def to_bytes(picture: NDArray[np.floating]) -> Picture:
    """Round to uint8."""
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def vertical_gradient(height: int, width: int, colours: NDArray[np.float32]) -> Field:
    """A sky or wall: the palette from top to bottom, float32 ``(H, W, 3)``."""
    return paint(np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width)), colours)


def warp(picture: Image.Image, size: tuple[int, int], matrix: Sequence[float]) -> Image.Image:
    """Resample by the affine map ``x' = a x + b y + c, y' = d x + e y + f`` from output to input pixels."""
    return picture.transform(size, Image.Transform.AFFINE, tuple(matrix), Image.Resampling.BICUBIC)


def camera(
    generator: np.random.Generator,
    canvas: Picture,
    count: int,
    height: int,
    width: int,
    speed: float,
    zoom: float = 0.0,
) -> Clip:
    """Fly over a larger canvas, ``speed`` pixels a frame where it is large enough, with a little zoom and turn.

    Returns:
        uint8 ``(count, height, width, 3)``.
    """
    picture = Image.fromarray(canvas)
    angle = generator.uniform(0, 2 * np.pi)
    turn = generator.normal(0, 0.02) if zoom else 0.0
    scales = 1 - abs(zoom) * np.linspace(0, 1, count)[:: 1 if zoom >= 0 else -1]
    # Half the room that a turned frame leaves on each side, so that no corner leaves the canvas.
    room = np.array([canvas.shape[1] - width, canvas.shape[0] - height]) / 2 - 3 - abs(turn) * max(height, width)
    reach = speed * (count - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    reach *= min(1.0, *(np.maximum(room, 0) / np.maximum(np.abs(reach), 1e-6)))
    middle = np.array([canvas.shape[1], canvas.shape[0]]) / 2
    frames = []
    for position, scale in zip(np.linspace(-1, 1, count), scales, strict=True):
        cosine, sine = scale * np.cos(turn * position), scale * np.sin(turn * position)
        x, y = middle + reach * position
        matrix = (
            cosine, -sine, x - cosine * width / 2 + sine * height / 2,
            sine, cosine, y - sine * width / 2 - cosine * height / 2,
        )  # fmt: skip
        frames.append(np.asarray(warp(picture, (width, height), matrix)))
    return np.stack(frames)


def stack_layers(layers: Sequence[tuple[Image.Image, float]], count: int, height: int, width: int) -> Clip:
    """Draw RGBA layers over each other, each drifting sideways at its own speed (parallax).

    Args:
        layers: Back to front: an RGBA picture at least ``width + |speed| * count`` wide, and its speed in
            pixels a frame.
        count: Frames.
        height: Rows.
        width: Columns.

    Returns:
        uint8 ``(count, height, width, 3)``.
    """
    frames = []
    for position in range(count):
        frame = Image.new("RGBA", (width, height), (0, 0, 0, 255))
        for layer, speed in layers:
            offset = speed * position if speed >= 0 else layer.width - width + speed * position
            frame.alpha_composite(warp(layer, (width, height), (1, 0, offset, 0, 1, 0)))
        frames.append(np.asarray(frame.convert("RGB")))
    return np.stack(frames)


def layer(colour: Field, alpha: Field) -> Image.Image:
    """An RGBA picture of float colours ``(H, W, 3)`` in 0..255 and an opacity ``(H, W)`` in 0..1."""
    return Image.fromarray(np.dstack([to_bytes(colour), to_bytes(255 * alpha)]))


def add_grain(generator: np.random.Generator, clip: Clip, sigma: float) -> Clip:
    """Add a camera's noise of ``sigma`` grey levels, a third of it in the colours."""
    if sigma <= 0:
        return clip
    luma = generator.standard_normal((*clip.shape[:3], 1), np.float32)
    colour = generator.standard_normal(clip.shape, np.float32)
    return to_bytes(clip + sigma * (luma + colour / 3))
