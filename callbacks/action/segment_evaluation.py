"""Found segments and states against true segments, source by source and for the whole run."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.segments.files import read_activitynet
from lightning_modules.action.segments.machine import COMPUTING, Segment, class_index
from lightning_modules.action.segments.measures import keep_labels, segment_report, true_states

log = logging.getLogger(__name__)

Tally = dict[str, list[int]]  # class -> its labelled frames, those right by themselves, those with the right state
APART = "apart"  # prefix of the measures of classes that are reported apart


class SourceEvaluation:
    """Counts right frames of one source as they come.

    Args:
        true: Its labelled segments.
        class_names: Classes in the order of the states.
        action: The one class that is looked for: at frames of the others "computing" is right, and any other class
            than the action is right for a frame by itself.
    """

    def __init__(self, true: Sequence[Segment], class_names: Sequence[str], action: str | None = None) -> None:
        self.true = keep_labels(true, {action}) if action is not None else list(true)
        self._all_true = list(true)
        self._class_names = list(class_names)
        self._action = None if action is None else class_index(action, class_names)
        self._counts = np.zeros((len(class_names), 3), np.int64)

    def add(self, times: NDArray[np.float64], labels: NDArray[np.int64], states: NDArray[np.int64]) -> None:
        """Take the seconds ``(K,)`` of frames, the best class of each by itself, or -1, and its state, or -1."""
        true = true_states(self._all_true, times, self._class_names)
        own, seen = true == labels, true == states
        if self._action is not None:
            others = true != self._action
            own, seen = np.where(others, labels != self._action, own), np.where(others, states != self._action, seen)
        for column, right in enumerate((true != COMPUTING, own, seen)):
            counted = true[right & (true != COMPUTING)]
            self._counts[:, column] += np.bincount(counted, minlength=len(self._class_names))

    @property
    def tally(self) -> Tally:
        """Counts of the labelled classes."""
        rows = zip(self._class_names, self._counts.tolist(), strict=True)
        return {name: row for name, row in rows if row[0]}

    def report(self, found: Sequence[Segment], apart: Collection[str] = ()) -> dict[str, float]:
        """All measures of this source; see :func:`evaluate`."""
        return evaluate({"": found}, {"": self.true}, [self.tally], apart)


class Truth:
    """Labelled segments of many sources, read from a file in the form of ActivityNet.

    Args:
        path: The file: ``{"database": {NAME: {"annotations": [{"segment": [s, e], "label": ...}]}}}``, where NAME is
            the name of a source with or without its suffix.
        class_names: Classes of the model.
        apart: Classes whose measures are reported apart from those of the others.
        action: The one class that is looked for; None for all.

    Raises:
        ConfigurationError: If not one label of the file, or a class of ``apart``, is the model's.
        LabelError: If the file is malformed.
    """

    def __init__(
        self, path: str | Path, class_names: Sequence[str], apart: Sequence[str] = (), action: str | None = None
    ) -> None:
        self.path = Path(path)
        self.apart = list(apart)
        self._action = action
        self._class_names = list(class_names)
        self._segments = read_activitynet(self.path).segments
        labels = {segment.label for segments in self._segments.values() for segment in segments}
        unknown = labels - set(class_names)
        if labels and unknown == labels:
            raise ConfigurationError(
                f"{self.path} labels {', '.join(sorted(unknown))}, but the model knows {', '.join(class_names)}: give "
                "the truth of these classes"
            )
        if unknown:
            log.warning("%s labels classes that the model does not know: %s", self.path, ", ".join(sorted(unknown)))
        for name in self.apart:
            class_index(name, class_names)

    def of(self, file: str) -> SourceEvaluation | None:
        """Evaluation of a source; None, with a line in the log, where the file does not label it."""
        segments = self.segments_of(file)
        if segments is None:
            log.warning("%s has no labels in %s, so it is not measured", file, self.path)
            return None
        return SourceEvaluation(segments, self._class_names, self._action)

    def segments_of(self, file: str) -> list[Segment] | None:
        """Labelled segments of a source by its path, its file name, or that without suffix."""
        for name in (file, Path(file).name, Path(file).stem):
            if name in self._segments:
                return self._segments[name]
        return None

    def report(self, found: Mapping[str, Sequence[Segment]], tallies: Sequence[Tally]) -> dict[str, float]:
        """Measures over all labelled sources, from segments by source and their counts; see :func:`evaluate`."""
        true = {file: self.segments_of(file) for file in found}
        labelled = {
            file: segments if self._action is None else keep_labels(segments, {self._action})
            for file, segments in true.items()
            if segments is not None
        }
        return evaluate({file: found[file] for file in labelled}, labelled, tallies, self.apart)


def evaluate(
    found: Mapping[str, Sequence[Segment]],
    true: Mapping[str, Sequence[Segment]],
    tallies: Sequence[Tally],
    apart: Collection[str] = (),
) -> dict[str, float]:
    """Measure states and segments.

    Args:
        found: Found segments by source.
        true: Labelled segments by source.
        tallies: Counts of right frames.
        apart: Classes that are left out, and measured by themselves under ``apart/NAME``.

    Returns:
        ``frame_accuracy_raw``, share of labelled frames whose own best class is right; ``frame_accuracy``, share whose
        state is right ("computing" is wrong); and the measures of ``segment_report``.
    """
    labels = {segment.label for segments in (*found.values(), *true.values()) for segment in segments}
    labels |= {name for tally in tallies for name in tally}
    groups = {"": labels - set(apart), f"{APART}/": labels & set(apart)}
    values: dict[str, float] = {}
    for prefix, members in groups.items():
        if prefix and not members:
            continue
        counts = np.array([[0, 0, 0], *(tally[name] for tally in tallies for name in tally if name in members)])
        frames, raw, right = counts.sum(axis=0).tolist()
        values[f"{prefix}frame_accuracy_raw"] = raw / frames if frames else math.nan
        values[f"{prefix}frame_accuracy"] = right / frames if frames else math.nan
        kept = [{name: keep_labels(one, members) for name, one in side.items()} for side in (found, true)]
        values |= {f"{prefix}{name}": value for name, value in segment_report(*kept).items()}
    return values
