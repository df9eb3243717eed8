"""The blank part of the generated inspection demo and the camera that takes it, in two set-ups.

A part is a relief, a colour and a gloss for each pixel; defects change these and the light does the rest, so that a
dent or a scratch looks different under another lamp as a real one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

Field = NDArray[np.float32]
Picture = NDArray[np.uint8]


class Setup(NamedTuple):
    """How one production line takes its images.

    Attributes:
        azimuth: Direction that the light comes from in degrees, 0 from the right, 90 from below.
        elevation: Height of the light above the part in degrees.
        ambient: Share of the light that comes from everywhere and shows no relief, 0..1.
        light: Brightness of the light in red, green and blue.
        metal: Colour of a clean part.
        background: Colour of what the part lies on.
        grain: Strength of the fine lines of the surface.
        grain_length: Length of these lines, which run across the image, in pixels.
        mottle: Strength of the soft clouds in the surface.
        vignette: Loss of light in the corners, 0..1.
        blur: Deviation of the optics' blur in pixels.
        noise: Deviation of the sensor's noise, where white is 1.
    """

    azimuth: float
    elevation: float
    ambient: float
    light: tuple[float, float, float]
    metal: tuple[float, float, float]
    background: tuple[float, float, float]
    grain: float
    grain_length: float
    mottle: float
    vignette: float
    blur: float
    noise: float


ORIGINAL_SETUP = Setup(
    azimuth=225,
    elevation=38,
    ambient=0.35,
    light=(1.03, 1.0, 0.96),
    metal=(0.54, 0.54, 0.535),
    background=(0.10, 0.10, 0.11),
    grain=0.030,
    grain_length=14,
    mottle=0.015,
    vignette=0.05,
    blur=0.45,
    noise=0.010,
)
NEW_SETUP = Setup(
    azimuth=310,
    elevation=46,
    ambient=0.42,
    light=(0.985, 1.0, 1.015),
    metal=(0.50, 0.50, 0.505),
    background=(0.17, 0.18, 0.17),
    grain=0.032,
    grain_length=7,
    mottle=0.030,
    vignette=0.15,
    blur=0.60,
    noise=0.013,
)
_LIGHT_JITTER = 0.09  # relative spread of the light from part to part
_TINT_JITTER = 0.035  # the same for each colour of it
_ANGLE_JITTER = 8.0  # degrees
_EDGE_SOFTNESS = 0.6  # pixels


@dataclass
class Surface:
    """A part in the making; brushes change it in place.

    Attributes:
        rows: float32 ``(S, S)``, y of each pixel.
        columns: float32 ``(S, S)``, x of each pixel.
        height: float32 ``(S, S)``, relief in pixels, up positive.
        colour: float32 ``(S, S, 3)``, share of the light that is given back.
        gloss: float32 ``(S, S)``, strength of the highlight.
        depth: float32 ``(S, S)``, distance to the part's edge in pixels, negative outside the part.
        part: float32 ``(S, S)``, share of each pixel that the part covers.
        outward: Direction (x, y) from the part over its edge; None when the edge is out of the picture.
        mask: uint8 ``(S, S)``, 0 healthy, c + 1 class c.
    """

    rows: Field
    columns: Field
    height: Field
    colour: Field
    gloss: Field
    depth: Field
    part: Field
    outward: tuple[float, float] | None
    mask: Picture

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return len(self.mask)

    def blend(self, alpha: Field, colour: tuple[float, float, float] | Field) -> None:
        """Cover the part with a colour where ``alpha`` (0..1) says so."""
        self.colour += alpha[..., None] * (np.asarray(colour, np.float32) - self.colour)

    def tint(self, alpha: Field, factor: tuple[float, float, float]) -> None:
        """Multiply the colour by ``factor`` where ``alpha`` (0..1) says so."""
        self.colour *= 1 + alpha[..., None] * (np.asarray(factor, np.float32) - 1)


def smooth_noise(generator: np.random.Generator, size: int, sigma: float) -> Field:
    """Clouds of mean 0 and deviation 1, float32 ``(size, size)``; ``sigma`` is their size in pixels."""
    field = gaussian_filter(generator.standard_normal((size, size), np.float32), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def step(distance: Field, softness: float = _EDGE_SOFTNESS) -> Field:
    """0 where ``distance`` is well below 0, 1 well above, soft over about ``softness`` pixels to each side."""
    return np.asarray(np.clip(0.5 + distance / (2 * softness), 0, 1), np.float32)


def blank_part(generator: np.random.Generator, setup: Setup, size: int, *, edge: bool) -> Surface:
    """A clean part.

    Args:
        generator: Source of all chance.
        setup: The line that made it.
        size: Height and width in pixels.
        edge: Whether an edge of the part runs through the picture.
    """
    rows, columns = (np.asarray(axis, np.float32) for axis in np.mgrid[:size, :size])
    lines = generator.standard_normal((size, size), np.float32)
    lines = gaussian_filter1d(lines, setup.grain_length * size / 128, axis=1, mode="wrap")
    lines = gaussian_filter1d(lines, 0.5, axis=0, mode="wrap")
    grain = setup.grain * lines / lines.std() + setup.mottle * smooth_noise(generator, size, size / 16)
    shade = 1 + grain + generator.normal(0, 0.03)
    colour = np.asarray(setup.metal, np.float32) * shade[..., None].astype(np.float32)
    depth, outward = np.full((size, size), np.float32(size)), None
    if edge:
        depth, outward = _edge(generator, rows, columns, size)
    return Surface(
        rows=rows,
        columns=columns,
        height=(1.5 * lines * setup.grain / lines.std()).astype(np.float32),
        colour=colour,
        gloss=np.full((size, size), 0.10, np.float32),
        depth=depth,
        part=step(depth),
        outward=outward,
        mask=np.zeros((size, size), np.uint8),
    )


def photograph(generator: np.random.Generator, setup: Setup, surface: Surface) -> Picture:
    """Light a part and take its picture.

    Args:
        generator: Source of the jitter of the light, the background and the sensor's noise.
        setup: The line that takes it.
        surface: The part with all that is on it.

    Returns:
        uint8 ``(S, S, 3)``.
    """
    size = surface.size
    azimuth = np.deg2rad(setup.azimuth + generator.normal(0, _ANGLE_JITTER))
    elevation = np.deg2rad(setup.elevation + generator.normal(0, _ANGLE_JITTER / 2))
    bevel = np.clip(surface.depth, 0, 3)  # the edge is slightly rounded, so that it catches the light
    slope_y, slope_x = np.gradient(surface.height + 0.3 * bevel)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    toward = (np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation))
    facing = (toward[2] - slope_x * toward[0] - slope_y * toward[1]) / length
    diffuse = np.clip(facing, 0, None) / toward[2]
    half = np.array([toward[0], toward[1], toward[2] + 1])
    half /= np.linalg.norm(half)
    shine = np.clip((half[2] - slope_x * half[0] - slope_y * half[1]) / length, 0, 1) ** 24
    gain = 1 + generator.normal(0, _LIGHT_JITTER)
    tint = np.asarray(setup.light) * (1 + generator.normal(0, _TINT_JITTER, 3))
    light = gain * tint * (setup.ambient + (1 - setup.ambient) * diffuse[..., None])
    picture = surface.colour * light + (surface.gloss * shine * gain)[..., None]
    below = (
        generator.uniform(0.7, 1.4)
        * np.asarray(setup.background)
        * (1 + 0.10 * smooth_noise(generator, size, 1.2)[..., None])
    )
    picture = below + surface.part[..., None] * (picture - below)
    centre = (size - 1) / 2
    radius = ((surface.rows - centre) ** 2 + (surface.columns - centre) ** 2) / (2 * centre**2)
    picture = picture * (1 - setup.vignette * radius[..., None])
    picture = gaussian_filter(picture, (setup.blur, setup.blur, 0))
    picture = picture + generator.normal(0, setup.noise, picture.shape)
    return np.asarray(np.clip(255 * picture + 0.5, 0, 255), np.uint8)


def _edge(generator: np.random.Generator, rows: Field, columns: Field, size: int) -> tuple[Field, tuple[float, float]]:
    """A straight, slightly tilted edge near one side of the picture."""
    angle = np.pi / 2 * generator.integers(4) + generator.normal(0, 0.12)
    outward = float(np.cos(angle)), float(np.sin(angle))
    centre = (size - 1) / 2
    away = generator.uniform(0.26, 0.36) * size
    depth = away - (outward[0] * (columns - centre) + outward[1] * (rows - centre))
    return depth.astype(np.float32), outward
