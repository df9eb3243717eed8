"""Scenes of the action demo: one room, one person, one camera; draws the frames of a script of actions.

All that does not belong to the action differs strongly from video to video and hardly within one, as in real videos:
neighbouring frames look alike, so that a split by frame tests what it has trained on. Several videos may be taken at
one place, by the same person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.action.demo.actions import Habits, Pose, blend, draw_habits, pose_at
from datamodules.action.demo.figure import Looks, any_colour, draw_looks, draw_person
from datamodules.action.demo.items import Wares, draw_wares
from datamodules.action.demo.pen import Colour, Pen
from datamodules.action.demo.rooms import draw_room
from datamodules.action.demo.settings import ActionDemoSettings, DemoAction

Picture = NDArray[np.uint8]

RATES = (Fraction(25), Fraction(30000, 1001), Fraction(30))  # frames a second
_DETAIL = 2  # drawn this much larger, then averaged down
_MARGIN = 1.25  # size of the room relative to the picture, for the camera to move in
_GLIDE = 0.2  # seconds from one action to the next
_GRAINS = 5  # sheets of noise that take turns


@dataclass(frozen=True)
class ScriptedSegment:
    """One action of a video, from ``start`` to ``end`` in seconds."""

    action: DemoAction
    start: float
    end: float


@dataclass(frozen=True)
class Scene:
    """What stays the same in a video.

    Attributes:
        width: Columns in pixels.
        height: Rows in pixels.
        fps: Frames a second.
        room: Picture behind the person, larger than the frame and drawn at twice the size.
        looks: Who acts.
        habits: How the person moves.
        wares: What is held or stands about.
        table: Colour of a table in front of the person, if there is one.
        unit: Half width of the head in pixels.
        place: Middle of the head in pixels.
        camera: Amplitudes and phases of the camera's sway in x and y, and its drift in pixels a second.
        aim: Where the camera looks in the room, in pixels from its middle.
        light: Gain of each channel.
        grain: Sheets of noise in grey levels, float32 ``(5, H, W, 3)``.
        qp: Quantisation parameter of the encoder.
    """

    width: int
    height: int
    fps: Fraction
    room: Image.Image
    looks: Looks
    habits: Habits
    wares: Wares
    table: Colour | None
    unit: float
    place: tuple[float, float]
    camera: tuple[float, float, float, float]
    aim: tuple[float, float]
    light: NDArray[np.float32]
    grain: NDArray[np.float32]
    qp: int


@dataclass(frozen=True)
class _Place:
    """What the videos of one place share."""

    width: int
    height: int
    fps: Fraction
    room: Image.Image
    looks: Looks
    colours: tuple[Colour, Colour, Colour]
    kitchen: Colour
    light: NDArray[np.float64]


def draw_scene(settings: ActionDemoSettings, place: Sequence[int], take: Sequence[int]) -> Scene:
    """Draw the scene of a video.

    Args:
        settings: The demo's settings.
        place: Numbers of the stream of chance of the room, the person, all colours and the size of the picture; videos
            that share it were taken at one place.
        take: Numbers of the stream of all else: habits, things that lie about, framing, noise, brightness.
    """
    there = _place(settings, tuple(place))
    width, height = there.width, there.height
    generator = np.random.default_rng([settings.seed, *take])
    habits = draw_habits(generator)
    main, second, top = there.colours
    table = top if generator.uniform() < 0.6 else None
    noise = generator.standard_normal((_GRAINS, height, width, 3), np.float32)
    unit = min(width, height) * float(generator.uniform(0.115, 0.135))
    return Scene(
        width=width,
        height=height,
        fps=there.fps,
        room=there.room,
        looks=replace(there.looks, mirrored=bool(generator.uniform() < 0.5)),
        habits=habits,
        wares=draw_wares(generator, main, second, there.kitchen),
        table=table,
        unit=unit,
        place=(width * float(generator.uniform(0.44, 0.56)), 3.05 * unit + float(generator.uniform(0, 0.03)) * height),
        camera=(
            float(generator.uniform(0.0, 0.02)) * width,
            float(generator.uniform(0.0, 0.02)) * height,
            float(generator.uniform(0, math.tau)),
            float(generator.uniform(0, math.tau)),
        ),
        aim=(float(generator.uniform(-0.08, 0.08)) * width, float(generator.uniform(-0.08, 0.08)) * height),
        light=(there.light * generator.uniform(0.9, 1.1)).astype(np.float32),
        grain=noise * np.float32(generator.uniform(0.5, 4.0)),
        qp=int(generator.integers(20, 33)),
    )


@lru_cache(maxsize=1)  # the other videos of a place come next
def _place(settings: ActionDemoSettings, place: tuple[int, ...]) -> _Place:
    """Draw a place."""
    generator = np.random.default_rng([settings.seed, *place])
    width, height = _size(generator, settings)
    return _Place(
        width=width,
        height=height,
        fps=RATES[int(generator.integers(len(RATES)))],
        room=draw_room(generator, round(_DETAIL * width * _MARGIN), round(_DETAIL * height * _MARGIN)),
        looks=draw_looks(generator),
        colours=(
            any_colour(generator, 0.4, 1.0),
            any_colour(generator, 0.5, 1.0),
            any_colour(generator, 0.3, 0.9, vivid=0.5),
        ),
        kitchen=any_colour(generator, 0.4, 0.95, vivid=0.4),
        light=generator.uniform(0.82, 1.08) * generator.uniform(0.92, 1.08, 3),
    )


def draw_frames(scene: Scene, script: Sequence[ScriptedSegment]) -> Iterator[Picture]:
    """Draw the frames of a script of segments without gaps one by one.

    Yields:
        uint8 ``(H, W, 3)``, ``round(script[-1].end * fps)`` of them.
    """
    for number in range(frame_count(scene, script)):
        yield draw_frame(scene, script, number)


def frame_count(scene: Scene, script: Sequence[ScriptedSegment]) -> int:
    """Frames of a video."""
    return max(1, round(script[-1].end * scene.fps))


def draw_frame(scene: Scene, script: Sequence[ScriptedSegment], number: int) -> Picture:
    """Draw frame ``number`` of a video, uint8 ``(H, W, 3)``."""
    time = float(number / scene.fps)
    sway_x, sway_y, phase_x, phase_y = scene.camera
    shift = (
        sway_x * math.sin(1.3 * time + phase_x) + 0.3 * sway_x * math.sin(4.1 * time + phase_y),
        sway_y * math.sin(1.7 * time + phase_y),
    )
    size = (_DETAIL * scene.width, _DETAIL * scene.height)
    left = (scene.room.width - size[0]) / 2 + _DETAIL * (scene.aim[0] - shift[0])
    top = (scene.room.height - size[1]) / 2 + _DETAIL * (scene.aim[1] - shift[1])
    corner = round(left), round(top)
    picture = scene.room.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
    origin = (_DETAIL * (scene.place[0] + shift[0]), _DETAIL * (scene.place[1] + shift[1]))
    pen = Pen(picture, origin, _DETAIL * scene.unit, scene.looks.mirrored)
    draw_person(pen, scene.looks, _pose(scene.habits, script, time), scene.wares, scene.table, time)
    lit = np.asarray(picture.reduce(_DETAIL), np.float32) * scene.light + scene.grain[number % _GRAINS]
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _pose(habits: Habits, script: Sequence[ScriptedSegment], time: float) -> Pose:
    """The pose at a time; around a border it glides from one action to the next, half-way at the border."""
    position = max(0, next((i for i, segment in enumerate(script) if time < segment.end), len(script) - 1))
    current = _pose_in(habits, script[position], time)
    since, left = time - script[position].start, script[position].end - time
    if position > 0 and since < _GLIDE / 2:
        return blend(_pose_in(habits, script[position - 1], time), current, 0.5 + since / _GLIDE)
    if position + 1 < len(script) and left < _GLIDE / 2:
        return blend(current, _pose_in(habits, script[position + 1], time), 0.5 - left / _GLIDE)
    return current


def _pose_in(habits: Habits, segment: ScriptedSegment, time: float) -> Pose:
    progress = (time - segment.start) / max(1e-9, segment.end - segment.start)
    return pose_at(segment.action, habits, time, min(1.0, max(0.0, progress)))


def _size(generator: np.random.Generator, settings: ActionDemoSettings) -> tuple[int, int]:
    """Size of a video: the usual one, a larger one, or a square of the same area."""
    choice = generator.uniform()
    width, height = settings.width, settings.height
    if choice < 0.25:
        return 2 * round(width * 0.625), 2 * round(height * 0.625)
    if choice < 0.4:
        side = 2 * round(math.sqrt(width * height) / 2)
        return side, side
    return width, height
