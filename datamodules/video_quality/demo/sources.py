"""Sources of the demo: what is drawn, where the region that counts lies, and how a version is degraded before encoding.

The layouts are those that the KVQ instructions single out (Lu et al., CVPR 2024, supplement, section 3.1): plain
frames, three-stage frames of which only the middle counts, and clips of two joined parts scored by duration. The
degradations before the last encoding are those of its section 1: global or region-level smoothing, and pictures that
were compressed before. Around a region, unrelated content carries a quality of its own.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from scipy.ndimage import gaussian_filter

from datamodules.common.cache_folder import cache_help
from datamodules.common.errors import ConfigurationError
from datamodules.common.generated import check_fractions, content_of
from datamodules.common.settings import argument, settings
from datamodules.video.writing.encode import encode_video
from datamodules.video_quality.demo.content import CONTENT_KINDS, ContentKind, render
from datamodules.video_quality.demo.drawing import Clip, palette, to_bytes, vertical_gradient
from datamodules.video_quality.demo.figures import caption

QP_INTERVALS = ((16, 23), (24, 31), (32, 35), (36, 39), (40, 43), (44, 47))  # supplement, section 1
ANCHOR_QP = 51  # the worst that H.264 has
FPS = 16.0

Layout = Literal["plain", "stages", "joined"]
Split = Literal["train", "val", "test"]
Box = tuple[int, int, int, int]

# Of five sources in a row two have stages; the order is prime to the 11 kinds, so that every pair occurs.
_LAYOUTS: tuple[Layout, ...] = ("stages", "plain", "joined", "stages", "plain")


@settings
class DemoSettings:
    """What the generated demo holds; the same settings give the same clips."""

    sources: int = argument(
        default=120,
        help="Number of pristine sources, at least 3; each is encoded once in every one of the six QP intervals.",
        low=3,
    )
    frames: int = argument(default=16, help="Frames of a clip, at least 4.", low=4)
    size: int = argument(default=288, help="Height and width in pixels, an even number from 64.", low=64)
    seed: int = argument(default=0, help="Seed of all that is drawn.")
    val_fraction: float = argument(default=0.13, help="Share of the sources that validate.")
    test_fraction: float = argument(default=0.17, help="Share of the sources that test.")
    cache_dir: str | None = argument(default=None, help=cache_help("the made clips"))
    workers: int = argument(default=2, help="Processes that make the clips.", low=1)

    def check(self) -> None:
        """Refuse what cannot work together."""
        if self.size % 2:
            raise ConfigurationError(f"The demo's size is {self.size}; the encoder needs an even number.")
        check_fractions(self.val_fraction, self.test_fraction)

    def content(self) -> dict[str, int | float]:
        """The settings that decide what the clips show; where and how they are made is left out."""
        return content_of(self, "workers")


@dataclass(frozen=True)
class Part:
    """Frames ``start`` to ``stop`` (exclusive) of a source, scored on their own."""

    start: int
    stop: int


@dataclass(frozen=True)
class Source:
    """One pristine clip.

    Attributes:
        number: Place in the demo.
        layout: How the frame or the clip is divided.
        kinds: What it shows; for stages the region first.
        region: x1, y1, x2, y2 of the region that counts, in pixels, the ends exclusive.
        parts: Parts that are scored by duration; one for all but joined clips.
        frames: uint8 ``(T, H, W, 3)``.
    """

    number: int
    layout: Layout
    kinds: tuple[ContentKind, ...]
    region: Box
    parts: tuple[Part, ...]
    frames: Clip


@dataclass(frozen=True)
class Version:
    """One degradation of a source, ready for the last encoding.

    Attributes:
        qp: Quantisation parameter of the last encoding.
        inside: What was done before to the region or, in joined clips, to one part; ``none`` if nothing.
        outside: What was done before to the bands around the region.
        frames: uint8 ``(T, H, W, 3)``.
    """

    qp: int
    inside: str
    outside: str
    frames: Clip


def generator_for(settings: DemoSettings, number: int, step: int) -> np.random.Generator:
    """The stream of chance of one step of one source; independent of how many sources there are."""
    return np.random.default_rng([settings.seed, number, step])


def split_of(settings: DemoSettings) -> list[Split]:
    """Split of every source: fixed shares, drawn within each layout so that every split has all three."""
    order = np.random.default_rng([settings.seed, 7]).permutation(settings.sources)
    by_layout = sorted(order, key=lambda number: _LAYOUTS[number % len(_LAYOUTS)])  # stable: keeps the permutation
    splits: list[Split] = ["train"] * settings.sources
    # Each share is spread evenly over the list, the second shifted so that they never meet.
    tests = max(1, round(settings.test_fraction * settings.sources))
    for place in range(tests):
        splits[by_layout[int((place + 0.5) * settings.sources / tests)]] = "test"
    rest = [number for number in by_layout if splits[number] == "train"]
    vals = max(1, round(settings.val_fraction * settings.sources))
    for place in range(vals):
        splits[rest[int((place + 0.5) * len(rest) / vals)]] = "val"
    return splits


def draw_source(settings: DemoSettings, number: int) -> Source:
    """Draw the pristine clip of one source."""
    generator = generator_for(settings, number, 0)
    layout = _LAYOUTS[number % len(_LAYOUTS)]
    kind = CONTENT_KINDS[number % len(CONTENT_KINDS)]
    count, size = settings.frames, settings.size
    whole, everything = (0, 0, size, size), (Part(0, count),)
    if layout == "plain":
        return Source(number, layout, (kind,), whole, everything, render(kind, generator, count, size, size))
    others = [other for other in CONTENT_KINDS if other != kind]
    if layout == "joined":
        second = others[int(generator.integers(len(others)))]
        cut = int(np.clip(round(generator.uniform(0.3, 0.7) * count), 1, count - 1))
        first_clip = render(kind, generator, cut, size, size)
        second_clip = render(second, generator, count - cut, size, size)
        clip = np.concatenate([first_clip, second_clip])
        return Source(number, layout, (kind, second), whole, (Part(0, cut), Part(cut, count)), clip)
    height = _even(generator.uniform(0.4, 0.55) * size)
    top = _even(generator.uniform(0.06, 0.94 - height / size) * size)
    region = (0, top, size, top + height)
    middle = render(kind, generator, count, height, size)
    clip, around = _surround(generator, middle, top, settings, others)
    clip[:, top : top + height] = middle
    return Source(number, layout, (kind, *around), region, everything, clip)


def draw_version(settings: DemoSettings, source: Source, pattern: int) -> Version:
    """Degrade one source for the QP interval ``pattern`` in 0..5."""
    generator = generator_for(settings, source.number, 1 + pattern)
    low, high = QP_INTERVALS[pattern]
    qp = int(generator.integers(low, high + 1))
    frames = source.frames.copy()
    inside = outside = "none"
    if source.layout == "joined":
        part = source.parts[int(generator.integers(len(source.parts)))]
        if generator.uniform() < 0.75:
            area = frames[part.start : part.stop]
            area[:], inside = _compress_before(generator, area)
            inside = f"{inside} frames {part.start}-{part.stop - 1}"
    elif source.layout == "stages":
        _, top, _, bottom = source.region
        frames[:, top:bottom], inside = _degrade(generator, frames[:, top:bottom], untouched=0.45, smoothed=0.15)
        if generator.uniform() < 0.75:
            treatment = int(generator.integers(1 << 30))  # both bands alike: they come from one editor
            for band in (frames[:, :top], frames[:, bottom:]):
                band[:], outside = _degrade(np.random.default_rng(treatment), band, untouched=0.0, smoothed=0.35)
    elif generator.uniform() < 0.15:
        frames, inside = _smooth(generator, frames)
    return Version(qp, inside, outside, frames)


def decode(path: Path) -> Clip:
    """All frames of a clip that the demo wrote, uint8 ``(T, H, W, 3)``."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def recompress(clip: Clip, qp: int) -> Clip:
    """Encode and decode once."""
    handle, name = tempfile.mkstemp(suffix=".mp4")
    os.close(handle)
    try:
        return decode(encode_video(name, clip, FPS, qp=qp))
    finally:
        Path(name).unlink(missing_ok=True)


def _surround(
    generator: np.random.Generator, middle: Clip, top: int, settings: DemoSettings, others: list[ContentKind]
) -> tuple[Clip, tuple[ContentKind, ...]]:
    """The frame around a region: another clip, the region itself enlarged and blurred, or a plain colour; captions."""
    count, size = settings.frames, settings.size
    height = middle.shape[1]
    around: tuple[ContentKind, ...] = ()
    form = generator.uniform()
    if form < 0.5:
        around = (others[int(generator.integers(len(others)))],)
        clip = render(around[0], generator, count, size, size)
    elif form < 0.75:
        left = (size - height) // 2
        square = middle[:, :, left : left + height]
        index = np.arange(size) * height // size
        enlarged = square[:, index][:, :, index].astype(np.float32)
        clip = to_bytes(0.8 * gaussian_filter(enlarged, (0, size / 48, size / 48, 0)))
    else:
        sheet = to_bytes(vertical_gradient(size, size, palette(generator, 2, (0.1, 0.8), 0.6)))
        clip = np.repeat(sheet[None], count, axis=0)
    smallest = size // 10
    for upper, lower in ((0, top), (top + height, size)):
        if lower - upper >= smallest and generator.uniform() < 0.6:
            clip = caption(clip, generator, upper, lower)
    return clip, around


def _degrade(generator: np.random.Generator, clip: Clip, *, untouched: float, smoothed: float) -> tuple[Clip, str]:
    """Leave, smooth or compress a clip, by these probabilities and the rest."""
    choice = generator.uniform()
    if choice < untouched:
        return clip, "none"
    if choice < untouched + smoothed:
        return _smooth(generator, clip)
    return _compress_before(generator, clip)


def _smooth(generator: np.random.Generator, clip: Clip) -> tuple[Clip, str]:
    sigma = float(generator.uniform(0.7, 2.0))
    return to_bytes(gaussian_filter(clip.astype(np.float32), (0, sigma, sigma, 0))), f"smooth {sigma:.2f}"


def _compress_before(generator: np.random.Generator, clip: Clip) -> tuple[Clip, str]:
    qp = int(generator.integers(28, 50))
    return recompress(clip, qp), f"qp {qp}"


def _even(value: float) -> int:
    """The nearest even number of rows: halved colour planes allow no other."""
    return 2 * round(value / 2)
