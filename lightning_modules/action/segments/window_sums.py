"""Sums over windows that slide over a stream of rows: no subtraction, so no drift, and a constant cost a row.

A running sum that adds the newest row and subtracts the oldest keeps the rounding error of every row that ever passed.
Here a window is always the sum of two parts on both sides of a pivot: what lies before it has its sums to the pivot
(made once, backwards), what lies after it has its sums from the pivot (continued row by row). When a window begins
behind the pivot, the pivot moves to the window's end. A row therefore enters two sums in its life, only additions are
made, and their order depends on the windows alone: however the stream is cut into blocks, the bits are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Indices = NDArray[np.int64]


class WindowSums:
    """Rows of a stream, kept only as long as a window may still reach them.

    Rows are numbered from 0 in the order of :meth:`append`. Windows are asked for in order: neither their first nor
    their last rows may fall back.

    Args:
        columns: Values a row.

    Attributes:
        columns: As above.
        end: Number of the next row.

    Example:
        >>> import numpy
        >>> sums = WindowSums(1)
        >>> sums.append(numpy.array([[1.0], [2.0], [4.0]]), numpy.arange(3.0))
        >>> sums.sum(numpy.array([0, 0, 1]), numpy.array([1, 2, 3])).ravel().tolist()
        [1.0, 3.0, 6.0]
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.end = 0
        self._first = 0  # number of the row at place 0 of the arrays
        self._pivot = 0
        self._summed = 0  # rows from the pivot up to here have their sums
        self._rows: Rows = np.empty((64, columns))
        self._sums: Rows = np.empty((64, columns))
        self._times: Rows = np.empty(64)

    def append(self, rows: Rows, times: Rows) -> None:
        """Add rows.

        Args:
            rows: float64 ``(n, columns)``, finite.
            times: Their times in seconds, float64 ``(n,)``, not falling.
        """
        start = self.end - self._first
        if start + len(rows) > len(self._rows):
            self._enlarge(start + len(rows))
        self._rows[start : start + len(rows)] = rows
        self._times[start : start + len(rows)] = times
        self.end += len(rows)

    def first_after(self, times: Rows) -> Indices:
        """Number of the first kept row that is later than each time.

        Args:
            times: Seconds, float64 ``(q,)``.

        Returns:
            int64 ``(q,)``; ``end`` where no row is later.
        """
        known = self._times[: self.end - self._first]
        found = np.searchsorted(known, times, side="right")
        return self._first + found.astype(np.int64)

    def sum(self, starts: Indices, stops: Indices) -> Rows:
        """Sum the rows ``starts[q] <= number < stops[q]`` for each window q.

        Args:
            starts: int64 ``(q,)``, not falling, also from one call to the next.
            stops: int64 ``(q,)``, not falling, at most ``end``.

        Returns:
            float64 ``(q, columns)``; 0 for an empty window.
        """
        totals = np.zeros((len(starts), self._rows.shape[1]))
        done = 0
        while done < len(starts):
            if starts[done] > self._pivot:
                self._move_pivot(int(starts[done]), int(stops[done]))
            upto = done + int(np.searchsorted(starts[done:], self._pivot, side="right"))
            self._continue(int(stops[upto - 1]))
            self._add_parts(totals[done:upto], starts[done:upto], stops[done:upto])
            done = upto
        return totals

    def forget(self, number: int) -> None:
        """Drop the rows before ``number``, the start of the newest window; their memory is used again."""
        gone = number - self._first
        if gone > len(self._rows) // 2:  # moved rarely, so that a row moves once on average
            kept = self.end - number
            for array in (self._rows, self._sums, self._times):
                array[:kept] = array[gone : gone + kept].copy()
            self._first = number

    def _add_parts(self, totals: Rows, starts: Indices, stops: Indices) -> None:
        before, after = starts < self._pivot, stops > self._pivot
        totals[before] = self._sums[starts[before] - self._first]
        totals[after] += self._sums[stops[after] - 1 - self._first]

    def _move_pivot(self, start: int, stop: int) -> None:
        self._pivot = self._summed = max(start, stop)
        first, last = start - self._first, self._pivot - self._first
        self._sums[first:last] = np.cumsum(self._rows[first:last][::-1], axis=0)[::-1]

    def _continue(self, stop: int) -> None:
        """Continue the sums from the pivot to the row before ``stop``."""
        if stop <= self._summed:
            return
        first, last = self._summed - self._first, stop - self._first
        self._sums[first:last] = self._rows[first:last]
        begin = first if self._summed == self._pivot else first - 1  # continues where there is something to continue
        np.cumsum(self._sums[begin:last], axis=0, out=self._sums[begin:last])
        self._summed = stop

    def _enlarge(self, needed: int) -> None:
        capacity = max(2 * len(self._rows), needed)
        used = self.end - self._first
        self._rows, self._sums, self._times = (
            np.concatenate([old[:used], np.empty((capacity - used, *old.shape[1:]))])
            for old in (self._rows, self._sums, self._times)
        )
