"""All results of one source: states, files, video and figure, made chunk by chunk in constant memory."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from callbacks.action.frame_states import FrameStates, SegmentSettings, StateStream
from callbacks.action.live_window import LiveWindow
from callbacks.action.picture_annotator import PictureAnnotator, PictureWriter
from callbacks.action.score_figure import DrawnSegment, ScoreTrack, clock, draw_scores
from callbacks.action.segment_evaluation import SourceEvaluation, Tally
from callbacks.figures.pictures import costs_itself, title_of, write_figure
from datamodules.common.errors import VideoError, one_line
from datamodules.video.streaming.info import StreamInfo
from datamodules.video.writing.annotated import AnnotatedVideoWriter
from lightning_modules.action.segments.files import write_segment_csv, write_srt, write_vtt
from lightning_modules.action.segments.flicker import HeldAgreement, SwitchCounter, action_or_other
from lightning_modules.action.segments.frame_files import FrameScoreWriter, TimeLabelWriter
from lightning_modules.action.segments.machine import COMPUTING, Segment, class_index

log = logging.getLogger(__name__)

Format = Literal["csv", "srt", "vtt", "frames", "time_label"]
Status = Literal["ok", "error", "stopped"]

_REWRITE_SECONDS = 5.0  # between two writings of the segments so far
_NEWS_SECONDS = 20.0  # between two lines about a long source


@dataclass(frozen=True)
class Outputs:
    """What is written of each source.

    Attributes:
        folder: Where.
        video: Whether an annotated video is written.
        figures: Whether the score-over-time figure is written.
        formats: Files of the results.
        legacy: Video and label as the original script made them.
    """

    folder: Path
    video: bool = True
    figures: bool = True
    formats: tuple[Format, ...] = ("csv", "srt", "vtt", "frames")
    legacy: bool = False

    @property
    def video_suffix(self) -> str:
        """Suffix of the annotated video."""
        return ".avi" if self.legacy else ".mp4"


class StreamChunk(NamedTuple):
    """What a source's results need of the next frames.

    Attributes:
        times: Their presentation times in seconds, float64 ``(T,)``.
        selected: Those that a rate option takes, bool ``(T,)``.
        dropped: Frames that a live source has dropped so far.
        source: Upright full-size pictures, uint8 ``(N, H, W, 3)``; None where no video is written or shown.
        source_times: Their presentation times, float64 ``(N,)``.
        end: Time in seconds at which the last frame of the source ends, in its last chunk; 0 where unknown.
    """

    times: NDArray[np.float64]
    selected: NDArray[np.bool_]
    dropped: int = 0
    source: NDArray[np.uint8] | None = None
    source_times: NDArray[np.float64] = np.zeros(0)
    end: float = 0.0


@dataclass
class SourceResult:
    """What is reported of a source.

    Attributes:
        name: Name of its files, without suffix.
        file: The source: a file's absolute path, or what the user named.
        status: "ok"; "error", then ``error`` says why; "stopped" by the user.
        frames: Frames with or without a score.
        seconds: Time of its end.
        segments: Its segments.
        dropped: Frames that a live source has dropped.
        skipped: Frames whose score was not a number.
        agreement: Share of frames on which the thinned stream agrees with the whole one; NaN without a comparison.
        switches_raw: Switches a minute of the frames' own labels, from one class to another; with an action, between
            it and all others.
        switches: Switches a minute of the states, counted alike: "computing..." carries the class before it.
        error: One sentence.
        metrics: Results against the truth.
        tally: Counts of right frames by true class, where there is a truth.
        outputs: Names of its files.
        key: Digest of file, weights and options.
        started: UTC date and time at which the recording of a live source began; empty for a file.
        transfer: FFmpeg's name of the transfer function of the pictures; empty where unknown.
    """

    name: str
    file: str
    status: Status = "ok"
    frames: int = 0
    seconds: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    dropped: int = 0
    skipped: int = 0
    agreement: float = math.nan
    switches_raw: float = math.nan
    switches: float = math.nan
    error: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    tally: Tally | None = None
    outputs: list[str] = field(default_factory=list)
    key: str = ""
    started: str = ""
    transfer: str = ""

    @property
    def place(self) -> str:
        """What is one row of the summary: a file, or one recording of a live source."""
        return f"{self.file} {self.started}" if self.started else self.file


class SourceAnnotation:
    """Takes a source's chunks in order and writes everything about it.

    Args:
        name: Name of its files, without suffix.
        info: The source.
        class_names: Classes in the order of the scores.
        settings: How scores become segments.
        outputs: What to write.
        evaluation: Compares with true segments; None without.
        window: Shows the annotated pictures; None where nobody looks.
    """

    def __init__(
        self,
        name: str,
        info: StreamInfo,
        class_names: Sequence[str],
        settings: SegmentSettings,
        outputs: Outputs,
        evaluation: SourceEvaluation | None = None,
        window: LiveWindow | None = None,
    ) -> None:
        self.name = name
        self.info = info
        self.evaluation = evaluation
        self._class_names = list(class_names)
        self._settings = settings
        self._outputs = outputs
        self._window = window
        self._stream = StateStream(class_names, settings)
        self._whole: StateStream | None = None
        self._action = None if settings.action is None else class_index(settings.action, class_names)
        self._agreement = HeldAgreement()
        self._track = ScoreTrack(len(class_names))
        self._raw_switches, self._switches = SwitchCounter(), SwitchCounter()
        self._table: FrameScoreWriter | None = None
        self._time_label: TimeLabelWriter | None = None
        self._annotator: PictureAnnotator | None = None
        self._written: list[str] = []
        self._last_times: tuple[float, float] = (math.nan, math.nan)
        self._first_time = math.nan
        self._end = 0.0
        self._filled = False  # whether any frame's window was full
        self._frames = self._dropped = 0
        self._no_video = ""  # why the annotated video could not be begun
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds") if info["live"] else ""
        self._clock = _Clock()

    @property
    def wanted(self) -> bool:
        """False once the user has closed the window or pressed q."""
        return self._annotator is None or self._annotator.wanted

    def add(self, chunk: StreamChunk, scores: NDArray[np.float64]) -> None:
        """Take the next chunk and the scores of its frames ``(T, C)``."""
        times, chosen = chunk.times, chunk.selected
        self._frames += len(times)
        self._dropped = chunk.dropped
        self._end = chunk.end
        if chunk.source is not None:
            self._take_pictures(chunk.source, chunk.source_times)
        else:
            self._note_times(times)
        if self._whole is None and not chosen.all():
            self._whole = deepcopy(self._stream)  # until now both have seen the same frames
        thinned = self._stream.push(times[chosen], scores[chosen])
        if self._whole is not None:
            self._compare(thinned, self._whole.push(times, scores), self._known_until(thinned))
        self._take(thinned)
        self._draw(thinned)
        self._report_progress()

    def finish(self, status: Status, error: str = "") -> SourceResult:
        """Close the source and write what is written at its end; also after a failure in its middle."""
        rest = self._stream.finish_frames()
        if self._whole is not None:
            self._compare(rest, self._whole.finish_frames(), math.inf)
        self._take(rest)
        self._draw()
        end = self._end_time()
        segments = self._stream.finish(end)
        self.close(complete=status == "ok")
        self._warn_of_long_window(end)
        self._warn_of_no_score()
        if self._frames:
            self._write_segments(segments)
            self._write_last(segments)
        lacking = self._no_video or ("" if self._annotator is None else self._annotator.fault)
        if status == "ok" and lacking:
            status, error = "error", lacking
        return SourceResult(
            name=self.name,
            file=self.info["path"] or self.info["name"],
            status=status,
            started=self._started if self._frames else "",  # an attempt that gave nothing is no recording
            frames=self._frames,
            seconds=end,
            segments=list(segments),
            dropped=self._dropped,
            skipped=self._stream.skipped,
            agreement=math.nan if self._whole is None else self._agreement.value,
            switches_raw=self._raw_switches.per_minute,
            switches=self._switches.per_minute,
            error=error,
            tally=None if self.evaluation is None else self.evaluation.tally,
            outputs=[name for name in dict.fromkeys(self._written) if (self._outputs.folder / name).is_file()],
            transfer=self.info.get("transfer", ""),
        )

    def close(self, complete: bool = True) -> None:
        """Finish the open files; ``complete`` is False after an interruption."""
        for growing in (self._table, self._time_label):
            if growing is not None:
                growing.close()
        if self._annotator is not None:
            self._annotator.close(complete)

    def _take(self, known: FrameStates) -> None:
        """Pass on states that became known."""
        self._track.add(known.times, known.means)
        labels = np.argmax(np.nan_to_num(known.scores, nan=-1.0), axis=1)
        scored = np.isfinite(known.scores).all(axis=1)
        labels = np.where(scored, labels, COMPUTING)
        self._filled = self._filled or bool(known.full.any())
        self._count_switches(labels, known)
        if self._whole is None:
            self._agreement.agree(known.states)
        if self.evaluation is not None:
            self.evaluation.add(known.times, labels, known.states)
        if self._annotator is not None:
            self._annotator.add_states(known)
        if len(known.times):
            self._write_frames(known)

    def _compare(self, thinned: FrameStates, whole: FrameStates, known_until: float) -> None:
        self._agreement.add(thinned.times, thinned.states, whole.times, whole.states, known_until)

    def _count_switches(self, labels: NDArray[np.int64], known: FrameStates) -> None:
        """Count the switches of the frames' own labels ``(K,)``, -1 without a score, and of the states alike."""
        states = known.states
        if self._action is not None:
            labels = action_or_other(labels, self._action, labels != COMPUTING)
            decided = known.full | (not self._settings.computing_until_full)
            states = action_or_other(states, self._action, decided & np.isfinite(known.means).all(axis=1))
        self._raw_switches.add(labels, known.times)
        self._switches.add(states, known.times)

    def _take_pictures(self, pictures: NDArray[np.uint8], times: NDArray[np.float64]) -> None:
        self._note_times(times)
        if not len(pictures) or not (self._outputs.video or self._window is not None):
            return
        if self._annotator is None:
            height, width = pictures.shape[1:3]
            self._annotator = PictureAnnotator(
                self._class_names,
                "legacy" if self._outputs.legacy else "default",
                self._open_video(width, height) if self._outputs.video else None,
                self._window,
                paced=not self.info["live"],
            )
        self._annotator.add_pictures(pictures, times)

    def _open_video(self, width: int, height: int) -> PictureWriter | None:
        path = self._new_path(self._outputs.video_suffix)
        info: StreamInfo = {**self.info, "width": width, "height": height}
        audio_from = self.info["path"] or None
        try:
            if self._outputs.legacy:
                return AnnotatedVideoWriter(path, info, codec="mjpeg", audio_from=None, fps=30.0)
            return AnnotatedVideoWriter(path, info, audio_from=audio_from)
        except VideoError as error:  # the segments do without it
            self._no_video = str(error)
            return None

    def _new_path(self, suffix: str) -> Path:
        """Where a file goes; never onto the source itself."""
        path = self._outputs.folder / f"{self.name}{suffix}"
        if self.info["path"] and path.resolve() == Path(self.info["path"]).resolve():
            path = path.with_name(f"{self.name}.annotated{suffix}")
        self._written.append(path.name)
        return path

    def _note_times(self, times: NDArray[np.float64]) -> None:
        """Remember the first time, and the last two for the length of the last frame."""
        if len(times) and math.isnan(self._first_time):
            self._first_time = float(times[0])
        if len(times) > 1:
            self._last_times = (float(times[-2]), float(times[-1]))
        elif len(times):
            self._last_times = (self._last_times[1], float(times[-1]))

    def _end_time(self) -> float:
        """Time at which the last frame ends: as its packet says, else as long as the one before it or the container."""
        before, last = self._last_times
        if math.isnan(last):
            return 0.0
        if self._end > last:
            return self._end
        step = last - before if not math.isnan(before) else (1 / self.info["fps"] if self.info["fps"] > 0 else 0.0)
        duration = self.info["duration"]
        return duration if last < duration < last + step else last + step

    def _known_until(self, known: FrameStates) -> float:
        """Time up to which all states are known."""
        if self._settings.mode != "centred":
            return math.inf
        return float(known.times[-1]) if len(known.times) else -math.inf

    def _draw(self, known: FrameStates | None = None) -> None:
        if self._annotator is not None:
            self._annotator.draw(math.inf if known is None else self._known_until(known))
        segments = self._stream.segments
        if len(segments) > self._clock.segments and self._clock.is_due("segments", _REWRITE_SECONDS):
            self._clock.segments = len(segments)
            self._write_segments(segments)

    def _report_progress(self) -> None:
        if not self._clock.is_due("news", _NEWS_SECONDS):
            return
        at, total = self._last_times[1], self.info["duration"]
        where = f"{clock(at)} of {clock(total)}" if total == total and not self.info["live"] else clock(at)
        lost = f", {self._dropped} dropped" if self._dropped else ""
        rate = self._frames / max(1e-6, self._clock.elapsed)
        log.info("%s: %s, %.0f frames a second%s", one_line(self.info["name"]), where, rate, lost)

    def _warn_of_long_window(self, end: float) -> None:
        """Say why a short source has no segment."""
        settings, length = self._settings, end - self._first_time
        frames = self._stream.frames - self._stream.skipped
        if frames and not self._filled and settings.computing_until_full:
            window = counted(settings.window, "frame") if settings.window is not None else f"{settings.seconds:g} s"
            log.warning(
                "%s: %s in %.2f s %s not fill a window of %s, so no class is named: choose a shorter one, or "
                "computing_until_full false",
                one_line(self.info["name"]),
                counted(frames, "frame"),
                length,
                "does" if frames == 1 else "do",
                window,
            )

    def _warn_of_no_score(self) -> None:
        """Say why nothing was found where not one frame has a score."""
        if 0 < self._stream.frames == self._stream.skipped:
            log.warning(
                "%s: the model's score of every frame is not a number, so no class is named: its weights are damaged "
                "or its training diverged; give another checkpoint",
                one_line(self.info["name"]),
            )

    def _write_frames(self, known: FrameStates) -> None:
        """Write the files that grow with the source."""
        if "frames" in self._outputs.formats:
            if self._table is None:
                self._table = FrameScoreWriter(self._new_path(".frames.csv"), self._class_names)
            self._table.write(known.times, known.means, known.states)
        if "time_label" in self._outputs.formats and self._settings.action is not None:
            if self._time_label is None:
                self._time_label = TimeLabelWriter(self._new_path(".timeLabel.json"), self._settings.action)
            seen = known.states != COMPUTING
            self._time_label.write(known.times[seen], known.means[seen, known.states[seen]])

    def _write_segments(self, segments: Sequence[Segment]) -> None:
        """Write the files of segments, each whole or not at all."""
        writers = {"csv": (".segments.csv", write_segment_csv), "srt": (".srt", write_srt), "vtt": (".vtt", write_vtt)}
        for name, (suffix, write) in writers.items():
            if name in self._outputs.formats:
                write(self._new_path(suffix), segments)

    def _write_last(self, segments: Sequence[Segment]) -> None:
        if not self._outputs.figures:
            return
        path = self._new_path(".png")
        with costs_itself(path):
            true = None if self.evaluation is None else _drawn(self.evaluation.true)
            figure = draw_scores(
                self._track,
                self._class_names,
                _drawn(segments),
                title=title_of(Path(self.info["path"]).name or self.info["name"]),
                truth=true,
                enter=self._settings.enter or None,
                action=self._settings.action,
            )
            write_figure(figure, path, dpi=130)


class _Clock:
    """When something was last done."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last: dict[str, float] = {}
        self.segments = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def is_due(self, what: str, seconds: float) -> bool:
        """Whether ``what`` was done longer ago than ``seconds``; it is done now if so."""
        now = time.monotonic()
        if now - self._last.get(what, self._started) < seconds:
            return False
        self._last[what] = now
        return True


def counted(number: int, thing: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "frame"), counted(0, "frame")
        ('1 frame', '0 frames')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _drawn(segments: Sequence[Segment]) -> list[DrawnSegment]:
    return [DrawnSegment(segment.label, segment.start, segment.end) for segment in segments]
