"""Rolling average of frame scores: neighbouring frames show the same action, so their mean says which.

Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking", section 5.2, averages the scores of the last 128 frames
in a deque and takes the class of the highest mean. :class:`RollingAverage` gives the same means for the same frames,
at a cost that does not grow with the window, and the same bits however the stream is cut into chunks.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.segments.window_sums import WindowSums

Mode = Literal["trailing", "centred", "exponential"]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

TOLERANCE = 1e-6  # s; times are rounded to the container's clock, and sums of them to float64
SHORTEST = 1e-3  # s
PATIENCE = 64  # frames beyond a window for which a centred window waits for scores that do not come


class RollingMeans(NamedTuple):
    """Means that became known, one row a frame, in order.

    Attributes:
        times: Presentation times in seconds, float64 ``(K,)``.
        means: Mean score of each class, float64 ``(K, C)``; NaN where the window holds no frame with a score.
        counts: Frames with a score in the window, int64 ``(K,)``.
        full: bool ``(K,)``; False while the stream has not yet filled the window, and where the window is empty.
    """

    times: Floats
    means: Floats
    counts: Counts
    full: Flags


class RollingAverage:
    """Average the scores of neighbouring frames of one stream.

    The modes, for the frame at time t, where exactly one of ``window`` and ``seconds`` is given:

    * ``trailing``: the last ``window`` frames, or the frames later than t - ``seconds``; what a live view can know. A
      hard change of the action is seen about half a window late.
    * ``centred``: ``window`` frames around the frame (of an even number, one more before it than after it), or the
      frames from t - ``seconds`` / 2 on and before t + ``seconds`` / 2. No lag, but a result is known half a window
      later. At both ends of the stream the window holds what there is.
    * ``exponential``: all frames so far, each frame weighing less than the next by a constant factor, or by the time
      between them; weights whose mean age is that of the trailing window, divided by their sum from the first frame on.

    ``full`` is False for the frames before the first whole window; in mode ``centred``, which has half a window at
    both ends, only where the whole stream is shorter than half a window.

    A frame whose score is not finite is skipped: it adds nothing, takes no place in a window of frames, and gets the
    mean of its neighbours. It keeps its place among the results. A ``centred`` window in frames ends ``window`` + 64
    frames after its frame at the latest, so that memory stays bounded where no more scores come.

    Args:
        num_classes: C.
        window: Length in frames, at least 1.
        seconds: Length in seconds, at least 0.001; behaves alike for sources of any frame rate.
        mode: Which neighbours count.

    Attributes:
        frames: Frames so far.
        skipped: Frames so far whose score was not finite.

    Raises:
        ConfigurationError: If not exactly one of ``window`` and ``seconds`` is given, or a value is out of range.

    Example:
        >>> average = RollingAverage(2, window=2)
        >>> average.push([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0.0, 0.1, 0.2]).means.tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """

    def __init__(
        self, num_classes: int, window: int | None = None, seconds: float | None = None, mode: Mode = "trailing"
    ) -> None:
        _check(num_classes, window, seconds, mode)
        self.num_classes, self.window, self.seconds, self.mode = num_classes, window, seconds, mode
        self.frames = 0
        self.skipped = 0
        self._last = -np.inf  # time of the last frame
        self._average = _AVERAGES[mode](num_classes, window, seconds)
        self._coverage = _Coverage(window, seconds)

    def push(self, scores: ArrayLike, times: ArrayLike) -> RollingMeans:
        """Add the next frames.

        Args:
            scores: Class probabilities of one frame ``(C,)`` or of a block ``(T, C)``; T may be 0.
            times: Presentation times in seconds, a number or ``(T,)``, rising.

        Returns:
            The results that became known: one for each of these frames, in mode ``centred`` those of earlier frames.

        Raises:
            ValueError: If the shapes do not fit, or a time falls or is not finite.
        """
        at = np.atleast_1d(np.asarray(times, dtype=np.float64))
        rows = np.asarray(scores, dtype=np.float64)
        if rows.ndim == 1 and len(at):
            rows = rows[None]
        if rows.shape != (len(at), self.num_classes) and (rows.size or len(at)):
            raise ValueError(
                f"Scores of the shape {np.shape(scores)} came with times of the shape {np.shape(times)}; "
                f"the shapes must be (T, {self.num_classes}) and (T,)."
            )
        if not len(at):
            return _nothing(self.num_classes)
        self._check_times(at)
        good: Flags = np.asarray(np.isfinite(rows).all(axis=1))
        self.frames += len(at)
        self.skipped += len(at) - int(np.count_nonzero(good))
        return self._average.push(rows, at, good, self._coverage.push(at, good))

    def finish(self) -> RollingMeans:
        """End the stream: the results that mode ``centred`` still owes; none in the other modes."""
        return self._average.finish()

    def _check_times(self, times: Floats) -> None:
        before = np.concatenate([[self._last], times[:-1]])
        wrong = ~((times >= before) & np.isfinite(times))
        if wrong.any():
            place = int(np.argmax(wrong))
            raise ValueError(
                f"Frame {self.frames + place} is at {times[place]} s after one at {before[place]} s; the times of a "
                "stream must be finite and rise."
            )
        self._last = float(times[-1])


class _Trailing:
    """Plain means over the frames up to this one."""

    def __init__(self, num_classes: int, window: int | None, seconds: float | None) -> None:
        self.window, self.seconds = window, seconds
        self._sums = WindowSums(num_classes)

    def push(self, rows: Floats, times: Floats, good: Flags, coverage: Floats) -> RollingMeans:
        stops = self._sums.end + np.cumsum(good)
        self._sums.append(rows[good], times[good])
        if self.window is not None:
            starts = np.maximum(stops - self.window, 0)
        else:
            assert self.seconds is not None
            starts = np.minimum(self._sums.first_after(times - (self.seconds - TOLERANCE)), stops)
        return _means(self._sums, times, starts, stops, coverage >= 1)

    def finish(self) -> RollingMeans:
        return _nothing(self._sums.columns)


class _Centred:
    """Plain means over the frames on both sides of this one, known when the later side has been seen."""

    def __init__(self, num_classes: int, window: int | None, seconds: float | None) -> None:
        self.window, self.seconds = window, seconds
        self._longest = PATIENCE + (window or 0)  # frames that one waits at most
        self._sums = WindowSums(num_classes)
        self._times: Floats = np.empty(0)  # of the frames whose mean is not known yet
        self._stops: Counts = np.empty(0, np.int64)  # first frame with a score after each of these
        self._places: Counts = np.empty(0, np.int64)  # frames with a score before each of these
        self._coverage = 0.0

    def push(self, rows: Floats, times: Floats, good: Flags, coverage: Floats) -> RollingMeans:
        seen = self._sums.end + np.cumsum(good)
        self._times = np.concatenate([self._times, times])
        self._stops = np.concatenate([self._stops, seen])
        self._places = np.concatenate([self._places, seen - good])
        self._sums.append(rows[good], times[good])
        self._coverage = float(coverage[-1])
        if self.window is not None:
            reached = np.searchsorted(self._stops + (self.window - 1) // 2, self._sums.end, side="right")
            known = max(int(reached), len(self._times) - self._longest)
        else:
            assert self.seconds is not None
            known = int(np.searchsorted(self._times + (self.seconds / 2 - TOLERANCE), times[-1], side="left"))
        return self._emit(known, full=True)

    def finish(self) -> RollingMeans:
        return self._emit(len(self._times), full=self._coverage >= 0.5)

    def _emit(self, known: int, *, full: bool) -> RollingMeans:
        times, stops, places = self._times[:known], self._stops[:known], self._places[:known]
        last = self._last_usable(known)
        self._times, self._stops, self._places = self._times[known:], self._stops[known:], self._places[known:]
        if self.window is not None:
            starts = np.maximum(places - self.window // 2, 0)
            stops = stops + (self.window - 1) // 2
            whole = (stops <= last) | (2 * last >= self.window)
        else:
            assert self.seconds is not None
            starts = self._sums.first_after(times - (self.seconds / 2 + TOLERANCE))
            stops = self._sums.first_after(times + (self.seconds / 2 - TOLERANCE))
            whole = np.full(known, True)
        stops = np.minimum(stops, last)
        return _means(self._sums, times, np.minimum(starts, stops), stops, whole & full)

    def _last_usable(self, known: int) -> Counts:
        """Number of the first score that the window of each of the first ``known`` frames may not hold, ``(known,)``.

        A window in frames takes no score that comes too late, even where a large block has brought it already.
        """
        last = np.full(known, self._sums.end)
        if self.window is not None:
            later = self._stops[self._longest : self._longest + known]
            last[: len(later)] = later
        return last


class _Exponential:
    """Means of all frames so far, the newest weighing most."""

    def __init__(self, num_classes: int, window: int | None, seconds: float | None) -> None:
        self.window, self.seconds = window, seconds
        self._total: Floats = np.zeros(num_classes)
        self._weight = 0.0
        self._count = 0
        self._last = np.nan

    def push(self, rows: Floats, times: Floats, good: Flags, coverage: Floats) -> RollingMeans:
        totals = np.where(good[:, None], rows, 0.0)
        weights = []
        before, weight, faded = self._total, self._weight, np.empty_like(self._total)
        for total, counts, kept in zip(totals, good.tolist(), self._kept(times, good), strict=True):
            np.multiply(before, kept, out=faded)
            np.add(total, faded, out=total)
            weight = weight * kept + counts
            weights.append(weight)
            before = total
        self._total, self._weight, self._last = before.copy(), weight, float(times[-1])
        counted = self._count + np.cumsum(good)
        self._count = int(counted[-1])
        with np.errstate(invalid="ignore"):  # 0 / 0 before the first score is the NaN that is meant
            totals /= np.array(weights)[:, None]
        return RollingMeans(times, totals, counted, (coverage >= 1) & (counted > 0))

    def finish(self) -> RollingMeans:
        return _nothing(len(self._total))

    def _kept(self, times: Floats, good: Flags) -> list[float]:
        """Factor by which the weight of everything before each frame shrinks."""
        if self.window is not None:
            factors = np.where(good, (self.window - 1) / (self.window + 1), 1.0)
        else:
            assert self.seconds is not None
            before = np.concatenate([times[:1] if np.isnan(self._last) else [self._last], times[:-1]])
            factors = np.exp(-2 * (times - before) / self.seconds)
        kept: list[float] = factors.tolist()
        return kept


_AVERAGES: dict[Mode, type[_Trailing] | type[_Centred] | type[_Exponential]] = {
    "trailing": _Trailing,
    "centred": _Centred,
    "exponential": _Exponential,
}


class _Coverage:
    """How much of a window the stream has filled so far.

    A frame lasts until the next one; for the newest frame the shortest step so far is taken, so that n frames at a
    steady rate of f a second cover n / f seconds.
    """

    def __init__(self, window: int | None, seconds: float | None) -> None:
        self.window, self.seconds = window, seconds
        self._scored = 0
        self._first = self._last = np.nan
        self._step = np.inf
        self._share = 0.0

    def push(self, times: Floats, good: Flags) -> Floats:
        """Share of a window after each frame, float64 ``(T,)``, never falling, 1 when it was filled once."""
        if self.window is not None:
            counted = self._scored + np.cumsum(good)
            self._scored = int(counted[-1])
            return counted / self.window
        assert self.seconds is not None
        if np.isnan(self._first):
            self._first = self._last = float(times[0])
        steps = np.diff(times, prepend=self._last)
        steps[steps <= 0] = np.inf  # the first frame, and frames at one time
        shortest = np.minimum.accumulate(np.minimum(steps, self._step))
        covered = times - self._first + np.where(np.isinf(shortest), 0, shortest)
        share = np.maximum.accumulate(np.maximum((covered + TOLERANCE) / self.seconds, self._share))
        self._step, self._last, self._share = float(shortest[-1]), float(times[-1]), float(share[-1])
        return share


def _means(sums: WindowSums, times: Floats, starts: Counts, stops: Counts, full: Flags) -> RollingMeans:
    counts = stops - starts
    totals = sums.sum(starts, stops)
    if len(starts):
        sums.forget(int(starts[-1]))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of a window without a score
        totals /= counts[:, None]
    return RollingMeans(times, totals, counts, full & (counts > 0))


def _nothing(num_classes: int) -> RollingMeans:
    return RollingMeans(np.empty(0), np.empty((0, num_classes)), np.empty(0, np.int64), np.empty(0, np.bool_))


def _check(num_classes: int, window: int | None, seconds: float | None, mode: str) -> None:
    if num_classes < 1:
        raise ConfigurationError(f"num_classes is {num_classes}; a rolling average needs at least 1.")
    if mode not in _AVERAGES:
        raise ConfigurationError(f"mode is {mode!r}; choose one of {', '.join(_AVERAGES)}.")
    if (window is None) == (seconds is None):
        raise ConfigurationError(
            f"window is {window} and seconds is {seconds}; give the length of the rolling average either in frames "
            "(window) or in seconds, and set the other to null."
        )
    if window is not None and window < 1:
        raise ConfigurationError(f"window is {window}; it must be at least 1 frame.")
    if seconds is not None and not SHORTEST <= seconds < np.inf:
        raise ConfigurationError(f"seconds is {seconds}; it must be a finite number of at least {SHORTEST}.")
