"""The noisy variant of a long video: runs of frames out of focus, behind something, or from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from datamodules.action.demo.figure import any_colour
from datamodules.action.demo.settings import ActionDemoSettings

Picture = NDArray[np.uint8]
Noise = Literal["none", "blur", "occlusion", "random"]

# Shortest and longest run in frames, the longest exclusive.
_RUNS: dict[Noise, tuple[int, int]] = {"blur": (3, 13), "occlusion": (4, 16), "random": (1, 4)}


def plan_noise(generator: np.random.Generator, settings: ActionDemoSettings, frames: int) -> list[tuple[Noise, int]]:
    """Decide what happens to each frame of a video.

    Returns:
        For each frame the kind and the number of its run, which counts from 0 over all runs; -1 without noise.
    """
    shares: dict[Noise, float] = {
        "blur": settings.blur_share,
        "occlusion": settings.occlusion_share,
        "random": settings.random_share,
    }
    plan: list[tuple[Noise, int]] = [("none", -1)] * frames
    free = frames
    run = 0
    for kind, share in shares.items():
        left = min(free, round(share * frames))
        free -= left
        while left > 0:
            length = min(left, int(generator.integers(*_RUNS[kind])))
            start = int(generator.integers(frames))
            for offset in range(frames):  # the next free frames, around the end if need be
                position = (start + offset) % frames
                if plan[position][0] == "none":
                    plan[position] = (kind, run)
                    length -= 1
                    left -= 1
                if length == 0:
                    break
            run += 1
    return plan


def add_noise(
    frames: Iterable[Picture],
    plan: list[tuple[Noise, int]],
    generator: np.random.Generator,
    elsewhere: Callable[[int, tuple[int, int]], Picture],
) -> Iterator[Picture]:
    """Apply a plan to frames, uint8 ``(H, W, 3)``; ``elsewhere`` gives another picture for a number, height and width.

    Yields:
        As many frames as came in.
    """
    run = -1
    strength, cover, drift = 0.0, Image.new("RGBA", (1, 1)), 0.0
    since = 0
    for number, (frame, (kind, mine)) in enumerate(zip(frames, plan, strict=True)):
        height, width = frame.shape[:2]
        if mine != run:
            run, since = mine, 0
            if kind == "blur":
                strength = float(generator.uniform(0.06, 0.13)) * height
            elif kind == "occlusion":
                cover, drift = _cover(generator, width, height), float(generator.uniform(-0.015, 0.015)) * width
        if kind == "blur":
            yield np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(strength)))
        elif kind == "occlusion":
            picture = Image.fromarray(frame)
            picture.paste(cover, (round(drift * since), 0), cover)
            yield np.asarray(picture)
        elif kind == "random":
            yield elsewhere(number, (height, width))
        else:
            yield frame
        since += 1


def _cover(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    """Something large and out of focus right before the camera, drawn larger and averaged down: RGBA."""
    from PIL import ImageDraw

    sheet = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(sheet)
    colour = any_colour(generator, 0.1, 0.7)
    if generator.uniform() < 0.5:  # a post or a passer-by
        half, middle = width * generator.uniform(0.24, 0.36), width * generator.uniform(0.4, 0.6)
        pen.rounded_rectangle([middle - half, -height * 0.2, middle + half, height * 1.2], half * 0.5, fill=colour)
    else:  # a hand or a head
        x, y = width * generator.uniform(0.35, 0.65), height * generator.uniform(0.35, 0.65)
        wide, high = width * generator.uniform(0.3, 0.42), height * generator.uniform(0.4, 0.6)
        pen.ellipse([x - wide, y - high, x + wide, y + high], fill=colour)
    return sheet.filter(ImageFilter.GaussianBlur(height * 0.015))
