"""The videos of the action demo: what happens in each, and its making."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, get_args

import numpy as np
from PIL import Image

from datamodules.action.demo.noise import Picture, add_noise, plan_noise
from datamodules.action.demo.scenes import Scene, ScriptedSegment, draw_frame, draw_frames, draw_scene, frame_count
from datamodules.action.demo.settings import DEMO_CLASSES, FRAME_CLASSES, ActionDemoSettings, DemoAction
from datamodules.video.writing.encode import encode_video

LongSet = Literal["untrimmed", "untrimmed_noisy", "untrimmed_pair"]
LONG_SETS: tuple[LongSet, ...] = get_args(LongSet)

_CLIP, _LONG, _PAIR, _SCRIPT, _NOISE, _ELSEWHERE, _PLACE = range(7)  # streams of chance
_NOISY_QP = 30


class Annotation(TypedDict):
    """One true segment: start and end in seconds, and its class."""

    segment: list[float]
    label: str


class VideoTruth(TypedDict):
    """What ActivityNet's files say of a video."""

    duration: float
    subset: str
    annotations: list[Annotation]


@dataclass(frozen=True)
class ClipJob:
    """A clip of one action."""

    action: DemoAction
    number: int

    @property
    def file(self) -> str:
        """Path in the demo's folder."""
        return f"clips/{self.action}/{self.action}_{self.number:03d}.mp4"


@dataclass(frozen=True)
class LongJob:
    """A long video of many segments."""

    kind: LongSet
    number: int

    @property
    def file(self) -> str:
        """Path in the demo's folder."""
        return f"{self.kind}/{self.kind}_{self.number:02d}.mp4"


def make_clip(folder: Path, settings: ActionDemoSettings, job: ClipJob) -> None:
    """Draw and encode a clip; one of ``lowering`` is a clip of ``raising`` with its frames in reverse.

    Raises:
        VideoError: If it cannot be written.
    """
    scene, script = clip_scene(settings, job)
    frames: Iterable[Picture] = draw_frames(scene, script)
    if job.action == "lowering":
        frames = list(frames)[::-1]
    encode_video(folder / job.file, frames, scene.fps, qp=scene.qp)


def clip_scene(settings: ActionDemoSettings, job: ClipJob) -> tuple[Scene, list[ScriptedSegment]]:
    """The scene of a clip, and what is drawn of it before a clip of ``lowering`` is turned round."""
    stream = (_CLIP, DEMO_CLASSES.index(job.action), job.number)
    length = settings.clip_seconds * np.random.default_rng([settings.seed, _SCRIPT, *stream]).uniform(0.8, 1.2)
    action = "raising" if job.action == "lowering" else job.action
    # Every class is seen at every place, so that a room or a face tells nothing of the action.
    scene = draw_scene(settings, (_PLACE, job.number), stream)
    return scene, [ScriptedSegment(action, 0.0, round(float(length), 2))]


def make_long(folder: Path, settings: ActionDemoSettings, job: LongJob) -> None:
    """Draw and encode a long video.

    Raises:
        VideoError: If it cannot be written.
    """
    scene, script = long_scene(settings, job)
    frames: Iterable[Picture] = draw_frames(scene, script)
    qp = scene.qp
    if job.kind == "untrimmed_noisy":
        generator = np.random.default_rng([settings.seed, _NOISE, job.number])
        plan = plan_noise(generator, settings, frame_count(scene, script))
        elsewhere = _Elsewhere(settings, job.number, scene, script, [run for _, run in plan])
        frames, qp = add_noise(frames, plan, generator, elsewhere), max(qp, _NOISY_QP)
    encode_video(folder / job.file, frames, scene.fps, qp=qp)


def long_scene(settings: ActionDemoSettings, job: LongJob) -> tuple[Scene, list[ScriptedSegment]]:
    """The scene of a long video and what happens in it; a noisy video shows the same as the clean one."""
    stream = (_PAIR if job.kind == "untrimmed_pair" else _LONG, job.number)
    generator = np.random.default_rng([settings.seed, _SCRIPT, *stream])
    order = _pair_order(settings) if job.kind == "untrimmed_pair" else _mixed_order(generator, settings)
    script: list[ScriptedSegment] = []
    start = 0.0
    for action in order:
        length = generator.uniform(settings.shortest_segment, settings.longest_segment)
        end = round(start + float(length), 2)
        script.append(ScriptedSegment(action, start, end))
        start = end
    return draw_scene(settings, (_PLACE, *stream), stream), script


def truth_of(settings: ActionDemoSettings, job: LongJob) -> VideoTruth:
    """The segments of a long video."""
    scene, script = long_scene(settings, job)
    duration = round(float(frame_count(scene, script) / scene.fps), 3)
    annotations = [
        Annotation(segment=[segment.start, min(segment.end, duration)], label=segment.action) for segment in script
    ]
    return VideoTruth(duration=duration, subset="test", annotations=annotations)


def _mixed_order(generator: np.random.Generator, settings: ActionDemoSettings) -> list[DemoAction]:
    """Each class once before any comes again, never twice in a row."""
    order: list[DemoAction] = []
    while len(order) < settings.segments:
        batch = [FRAME_CLASSES[int(index)] for index in generator.permutation(len(FRAME_CLASSES))]
        if order and batch[0] == order[-1]:
            batch = batch[::-1]
        order.extend(batch)
    return order[: settings.segments]


def _pair_order(settings: ActionDemoSettings) -> list[DemoAction]:
    """Up and down and a rest."""
    cycle: tuple[DemoAction, ...] = ("idle", "raising", "lowering")
    return [cycle[position % len(cycle)] for position in range(settings.segments)]


class _Elsewhere:
    """Gives pictures of other actions in other rooms, one room a run of noise."""

    def __init__(
        self,
        settings: ActionDemoSettings,
        number: int,
        scene: Scene,
        script: list[ScriptedSegment],
        runs: list[int],
    ) -> None:
        self._settings, self._number, self._runs = settings, number, runs
        self._fps, self._script = scene.fps, script
        self._drawn: tuple[int, Scene, list[ScriptedSegment]] | None = None

    def __call__(self, frame: int, size: tuple[int, int]) -> Picture:
        """Picture for a frame number, uint8 ``(*size, 3)``."""
        run = self._runs[frame]
        if self._drawn is None or self._drawn[0] != run:
            self._drawn = (run, *self._new(run, float(frame / self._fps)))
        _, scene, script = self._drawn
        picture = draw_frame(scene, script, frame % frame_count(scene, script))
        if picture.shape[:2] == size:
            return picture
        return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR))

    def _new(self, run: int, time: float) -> tuple[Scene, list[ScriptedSegment]]:
        stream = (_ELSEWHERE, self._number, run)
        generator = np.random.default_rng([self._settings.seed, _SCRIPT, *stream])
        true = next((segment.action for segment in self._script if time < segment.end), self._script[-1].action)
        others = [action for action in FRAME_CLASSES if action != true]
        action = others[int(generator.integers(len(others)))]
        return draw_scene(self._settings, (_PLACE, *stream), stream), [ScriptedSegment(action, 0.0, 4.0)]
