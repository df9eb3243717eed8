"""Write time-stamped segments, annotated videos and figures while predicting, source by source."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np

from callbacks.action.frame_states import SegmentSettings, StateStream
from callbacks.action.live_window import LiveWindow
from callbacks.action.picture_annotator import waiting_bytes
from callbacks.action.segment_evaluation import Truth
from callbacks.action.source_annotation import (
    Format,
    Outputs,
    SourceAnnotation,
    SourceResult,
    Status,
    StreamChunk,
    counted,
)
from callbacks.action.source_names import free_name, sentence
from callbacks.action.summary import append_result, read_results, weighted_mean, write_results
from callbacks.figures.prediction_writer import PredictionWriter
from callbacks.figures.run_key import run_facts
from datamodules.action.batch import StreamBatch, StreamInfo
from datamodules.common.errors import ConfigurationError, VideoError, one_line
from datamodules.common.fingerprint import config_digest, file_key, file_sha256
from lightning_modules.action.segments.rolling_average import Mode

log = logging.getLogger(__name__)
results = logging.getLogger("appraise.results")  # lines that are the command's answer

_SECONDS, _LEGACY_WINDOW = 2.0, 128
_ENTER = 0.5
MOST_WAITING = 1e9  # bytes of pictures that wait for their states, above which the user is told


class SegmentWriter(PredictionWriter[StreamBatch]):
    """Average the scores of a stream, find its segments, and write everything about each source while it is read.

    For each source NAME: ``NAME.mp4`` (annotated, with the source's frame times and sound), ``NAME.segments.csv``,
    ``NAME.srt``, ``NAME.vtt``, ``NAME.frames.csv`` (flushed chunk by chunk), ``NAME.png`` (scores over time and the
    segments), and with an action ``NAME.timeLabel.json``. For the run: ``segments.json`` (ActivityNet's form),
    ``summary.json`` and ``summary.csv``, a row a source.

    Memory does not grow with the length of a source, besides its segments; under ``centred`` the pictures of half a
    window wait for their labels, and more than 1 GB of them is said. A file that was done before with the same
    content, weights and options is not done again; one that cannot be read is named, and tried again in the next run.
    What other files have left in the folder stays, in the summary too, and so does each recording of a live source; the
    measures are those of this run's sources.
    ``q`` in the window, Ctrl-C and SIGTERM end a run with valid files.

    Args:
        output: Folder; None takes the run's folder.
        window: Frames that are averaged; wins over ``seconds``.
        seconds: Seconds that are averaged; None with no ``window`` takes 2.
        mode: ``trailing`` (the frames before, as a live view must), ``centred`` (no lag; results come half a window
            later) or ``exponential``.
        enter: Smallest mean score that starts a class; None takes 0.5.
        leave: Smallest mean score that keeps it, cut to ``enter`` where it is above it; None takes ``enter``.
        minimum_seconds: Shortest segment.
        merge_gap_seconds: Longest gap between two segments of a class that are one.
        action: The one class to look for; None looks for all.
        computing_until_full: Whether frames wait for a full window; None says yes.
        video: Whether annotated videos are written.
        show: Whether a window shows them as they are made; ``q`` ends the run.
        figures: Whether score-over-time figures are written.
        formats: Files of the results of a source; None takes csv, srt, vtt and frames, and time_label with an action.
        truth: True segments in ActivityNet's form, to measure against; a name in it is a source's, with or without
            its suffix.
        report_apart: Classes whose measures are kept out of the others' and reported by themselves.
        legacy: What the original script did: 128 frames, no threshold, AVI at a fixed 30 frames a second, times of the
            one action alone (Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking", section 5.2).

    Raises:
        ConfigurationError: In ``setup``, if options cannot work together or with the model, or there is no display.
    """

    def __init__(
        self,
        output: str | None = None,
        window: int | None = None,
        seconds: float | None = None,
        mode: Mode = "trailing",
        enter: float | None = None,
        leave: float | None = None,
        minimum_seconds: float = 0.0,
        merge_gap_seconds: float = 0.0,
        action: str | None = None,
        computing_until_full: bool | None = None,
        video: bool = True,
        show: bool = False,
        figures: bool = True,
        formats: list[Literal["csv", "srt", "vtt", "frames", "time_label"]] | None = None,
        truth: str | None = None,
        report_apart: list[str] | None = None,
        legacy: bool = False,
    ) -> None:
        if legacy and window is None and seconds is None:
            window = _LEGACY_WINDOW
        super().__init__(output)
        self.show = show
        entry = (0.0 if legacy else _ENTER) if enter is None else enter
        self.settings = SegmentSettings(
            window=window,
            seconds=None if window is not None else (_SECONDS if seconds is None else seconds),
            mode=mode,
            enter=entry,
            leave=None if leave is None else min(leave, entry),  # a smaller `enter` alone is stated often
            minimum_seconds=minimum_seconds,
            merge_gap_seconds=merge_gap_seconds,
            action=action,
            computing_until_full=not legacy if computing_until_full is None else computing_until_full,
        )
        self._leave_is_cut = leave is not None and leave > entry
        usual: tuple[Format, ...] = ("csv", "srt", "vtt", "frames")
        chosen = tuple(formats) if formats is not None else (*usual, *(("time_label",) if action or legacy else ()))
        self._outputs = Outputs(Path(), video, figures, chosen, legacy)
        self._truth_file = truth
        self._apart = list(report_apart or ())
        self._truth: Truth | None = None
        self._class_names: list[str] = []
        self._results: dict[str, SourceResult] = {}
        self._earlier: dict[str, SourceResult] = {}  # rows of the folder that this run has not made or reused
        self._rate: float | None = None
        self._reused = 0
        self._run_key = ""
        self._current: SourceAnnotation | None = None
        self._key_at_begin = ""
        self._window: LiveWindow | None = None
        self._begun = self._summed = False
        self._stopping = self._warned_of_memory = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Check the options against the model, and tell the data module what is done and what is needed."""
        if stage != "predict":
            return
        if trainer.world_size > 1:
            raise ConfigurationError(
                f"SegmentWriter writes in one process, but this run has {trainer.world_size}: add --trainer.devices 1"
            )
        self._class_names = class_names_of(pl_module)
        self._check_options()
        if self._truth_file is not None:
            self._truth = Truth(self._truth_file, self._class_names, self._apart, self.settings.action)
        folder = writable_folder(self.folder(trainer))
        self._outputs = replace(self._outputs, folder=folder)
        data: Any = getattr(trainer, "datamodule", None)
        self._run_key = self._key_of_run(trainer, pl_module, data)
        earlier = read_results(folder)
        self._results = {place: one for place, one in earlier.items() if self._is_reusable(one)}
        self._earlier = {place: one for place, one in earlier.items() if place not in self._results}
        self._reused = len(self._results)
        if data is not None:
            own = [folder / name for one in earlier.values() for name in one.outputs]
            data.exclude([*self._results, *map(str, own)])  # our own videos may lie among the sources
            if getattr(data, "with_source", None) is None:
                data.with_source = self._outputs.video or self.show
            self._rate = getattr(data, "rate", None)
            if self._rate is not None and not getattr(data, "compare_rate", False):
                log.info("rate is %g: add --compare_rate to see how often this agrees with all frames", self._rate)
        if self._reused:
            were = "was annotated before and is" if self._reused == 1 else "were annotated before and are"
            log.info("%s %s reused from %s", counted(self._reused, "source"), were, folder)
        if self.show:
            self._window = LiveWindow()

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: StreamBatch
    ) -> None:
        """Take a chunk; close its source after the last one."""
        self._begun, self._summed = True, False
        if self._current is None:
            self._current = self._begin(batch["info"], readable=batch["status"] == "ok" or len(batch["times"]) > 0)
        self._current.add(chunk_of(batch), outputs["scores"].double().cpu().numpy())
        if not self._stopping and (trainer.received_sigterm or not self._current.wanted):
            self._stopping = True
            log.info("%s: this is the end", "SIGTERM" if trainer.received_sigterm else "q was pressed")
            stop = getattr(getattr(trainer.predict_dataloaders, "dataset", None), "stop", None)
            if stop is None:
                raise StopIteration  # Lightning's prediction loop ends
            stop()
        if batch["is_last"]:
            status: Status = "stopped" if self._stopping and batch["status"] == "ok" else batch["status"]
            self._finish(status, batch["error"])

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the summary and say how it went."""
        self._finish("stopped")
        self._sum_up()
        found = list(self._results.values())
        if found and all(one.status == "error" and not one.frames for one in found):
            many = f"not one of the {len(found)} sources can be read: {self._outputs.folder / 'summary.csv'} says why"
            raise VideoError(found[0].error if len(found) == 1 else many)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close what is open, so that all files so far are valid."""
        stopped = isinstance(exception, KeyboardInterrupt)
        if self._summed or not self._begun:
            return  # nothing was read, or all is written
        reason = "" if stopped else " ".join(str(exception).split())
        finish = partial(self._finish, "stopped" if stopped else "error", reason)
        for step in (finish, self._sum_up):
            try:
                step()
            except OSError as error:  # the disk that made the run fail; the first error is the one to report
                log.warning("the results so far could not all be written: %s", one_line(str(error)))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close the open files and the window."""
        if self._current is not None:
            self._current.close(complete=False)
            self._current = None
        if self._window is not None:
            self._window.close()
            self._window = None

    def _check_options(self) -> None:
        StateStream(self._class_names, self.settings)  # its errors before any source is opened
        if self._leave_is_cut:
            log.info("leave is above enter, so that it is %g too", self.settings.enter)
        if self.settings.action is None and "time_label" in self._outputs.formats:
            raise ConfigurationError(
                "timeLabel.json holds the times of one action: add --action NAME, one of "
                f"{', '.join(self._class_names[:10])}, or leave time_label and legacy out"
            )
        if self._outputs.legacy:
            log.warning("legacy: the video plays at 30 frames a second whatever the source's rate, without sound")
            log.warning("legacy: timeLabel.json holds the frames of the action alone, no segments and no class names")
            log.warning(
                "legacy: no threshold and no full window is waited for, so a guess is shown from the first frame"
            )

    def _begin(self, info: StreamInfo, readable: bool) -> SourceAnnotation:
        file = info["path"] or info["name"]
        evaluation = self._truth.of(file) if self._truth is not None and readable else None
        name = free_name(info, [*self._results.values(), *self._earlier.values()], self._outputs.folder)
        self._key_at_begin = self._key(file)
        self._warn_of_memory(info)
        self._tell_of_replacing(self._earlier.get(file), name)
        return SourceAnnotation(name, info, self._class_names, self.settings, self._outputs, evaluation, self._window)

    def _tell_of_replacing(self, earlier: SourceResult | None, name: str) -> None:
        if earlier is None or earlier.status != "ok" or earlier.name != name:
            return
        if not earlier.key or earlier.key != self._key(earlier.file):
            log.info("%s: made before with other content, weights or options; its files are written anew", name)

    def _tell_of_leftovers(self, earlier: SourceResult | None, result: SourceResult) -> None:
        """Name files of an earlier run that this one does not write, such as a video with other labels."""
        old = [name for name in earlier.outputs if name not in result.outputs] if earlier and result.frames else []
        old = [name for name in old if (self._outputs.folder / name).is_file()]
        if old:
            log.warning("%s: of the run before, with other options, is still there: %s", result.name, ", ".join(old))

    def _warn_of_memory(self, info: StreamInfo) -> None:
        """Say once how much memory the pictures of half a window take."""
        waiting = waiting_bytes(info, self.settings, self._rate) if self._outputs.video or self.show else 0.0
        if waiting > MOST_WAITING and not self._warned_of_memory:
            self._warned_of_memory = True
            log.warning(
                "%s: centred keeps the pictures of half a window, here %.1f GB: choose a shorter window, --video false "
                "or --mode trailing where memory is short",
                info["name"],
                waiting / 1e9,
            )

    def _finish(self, status: Status, error: str = "") -> None:
        current, self._current = self._current, None
        if current is None:
            return
        result = current.finish(status, error)
        if current.evaluation is not None:
            result.metrics = current.evaluation.report(result.segments, self._apart)
        result.key = self._key(result.file)
        if result.key != self._key_at_begin:
            log.warning("%s: the file changed while it was read; the next run reads it anew", result.name)
            result.key = ""
        self._results[result.place] = result
        self._tell_of_leftovers(self._earlier.pop(result.place, None), result)
        append_result(self._outputs.folder, result)
        log.log(logging.WARNING if status == "error" else logging.INFO, "%s", sentence(result))

    def _sum_up(self) -> None:
        found = list(self._results.values())
        self._summed = True
        if not found:
            log.info("no source was found")
            return
        metrics = self._metrics(found)
        write_results(self._outputs.folder, [*self._earlier.values(), *found], metrics)
        for name, value in metrics.items():
            results.info("%s %.4g", name, value)
        done = sum(one.status == "ok" for one in found)
        failed = sum(one.status == "error" for one in found)
        stopped = len(found) - done - failed
        before = f"{counted(done, 'source')} annotated ({self._reused} of them before)"
        parts = [before if self._reused else f"{done} annotated"]
        parts += [f"{failed} with {'an error' if failed == 1 else 'errors'}"] * bool(failed)
        parts += [f"{stopped} stopped"] * bool(stopped)
        if self._earlier:
            log.info("the summary keeps the results of %s", counted(len(self._earlier), "other source"))
        results.info("%s: %s", ", ".join(parts), self._outputs.folder)

    def _metrics(self, found: list[SourceResult]) -> dict[str, float]:
        """Measures over all sources."""
        seconds = [one.seconds for one in found]
        values = {
            "switches_a_minute_raw": weighted_mean([one.switches_raw for one in found], seconds),
            "switches_a_minute": weighted_mean([one.switches for one in found], seconds),
            "rate_agreement": weighted_mean([one.agreement for one in found], [one.frames for one in found]),
        }
        if self._truth is not None:
            measured = [one for one in found if one.tally is not None]
            tallies = [one.tally for one in measured if one.tally is not None]
            values |= self._truth.report({one.file: one.segments for one in measured}, tallies)
        return {name: value for name, value in values.items() if value == value}

    def _is_reusable(self, result: SourceResult) -> bool:
        whole = all((self._outputs.folder / name).is_file() for name in result.outputs)
        return result.status == "ok" and whole and bool(result.key) and result.key == self._key(result.file)

    def _key(self, file: str) -> str:
        """Digest of everything that decides a file's results; empty for a live source."""
        path = Path(file)
        try:
            state = file_key(path) if path.is_absolute() and path.is_file() else ""
        except OSError:  # gone since
            state = ""
        return config_digest({"run": self._run_key, "file": state}) if state else ""

    def _key_of_run(self, trainer: L.Trainer, module: L.LightningModule, data: object) -> str:
        outputs = {name: value for name, value in vars(self._outputs).items() if name != "folder"}
        return config_digest(
            {
                **run_facts(trainer, module, data),
                "settings": asdict(self.settings),
                "outputs": outputs,
                "truth": None if self._truth_file is None else file_sha256(self._truth_file),
                "apart": self._apart,
            }
        )


def class_names_of(module: L.LightningModule) -> list[str]:
    """Names of a model's classes.

    Raises:
        ConfigurationError: If it has none.
    """
    names = getattr(module, "class_names", None) or dict(module.hparams).get("class_names")
    if not names:
        raise ConfigurationError(
            f"{type(module).__name__} names no classes, so nothing can be labelled: give a checkpoint that holds "
            "class_names, or --model.init_args.class_names"
        )
    return list(names)


def chunk_of(batch: StreamBatch) -> StreamChunk:
    """The arrays of a batch."""
    times, selected = batch["times"].cpu().numpy().astype(np.float64), batch["selected"].cpu().numpy().astype(bool)
    if "source" not in batch or "source_times" not in batch:
        return StreamChunk(times, selected, batch["dropped"], end=batch.get("end", 0.0))
    pictures, picture_times = batch["source"].cpu().numpy(), batch["source_times"].cpu().numpy()
    return StreamChunk(times, selected, batch["dropped"], pictures, picture_times, end=batch.get("end", 0.0))


def writable_folder(folder: Path) -> Path:
    """Make a folder and check that files can be made in it.

    Raises:
        ConfigurationError: If not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder.absolute()
    except OSError as error:
        raise ConfigurationError(
            f"nothing can be written to {folder} ({error.strerror}): give another folder with --output DIR"
        ) from error
