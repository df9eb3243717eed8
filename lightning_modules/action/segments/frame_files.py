"""Results of single frames as files that grow with the stream: nothing is kept in memory."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from datamodules.tables.csv import CsvRows

COMPUTING_TEXT = "computing..."


class _Closing(ABC):
    """Closes itself at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left and close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class FrameScoreWriter(_Closing):
    """Write a CSV with a row a frame: its time, its state, and the mean score of each class.

    The columns are ``time`` (seconds), ``state`` (a class or "computing...") and ``mean:<class>``; a mean that is not
    known is empty. Each :meth:`write` reaches the file system at once, so a stopped run leaves whole rows.

    Args:
        path: File; replaced when it is there.
        class_names: Classes in the order of the scores.
    """

    def __init__(self, path: str | Path, class_names: Sequence[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._labels = [*class_names, COMPUTING_TEXT]  # the state -1 is the last of them
        self._stream = self.path.open("w", encoding="utf-8", newline="")
        self._rows = CsvRows(self._stream)
        self._rows.writerow(["time", "state", *(f"mean:{name}" for name in class_names)])

    def write(self, times: ArrayLike, means: ArrayLike, states: ArrayLike) -> None:
        """Add frames.

        Args:
            times: Seconds, ``(K,)``.
            means: ``(K, C)``.
            states: Class index or -1, ``(K,)``.
        """
        rows = zip(*(np.asarray(column).tolist() for column in (times, means, states)), strict=True)
        self._rows.writerows(
            [f"{time:.6f}", self._labels[state], *("" if math.isnan(mean) else f"{mean:.5f}" for mean in scores)]
            for time, scores, state in rows
        )
        self._stream.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stream.close()


class TimeLabelWriter(_Closing):
    """Write ``timeLabel.json`` as Gjorjian's script does: the frames of one action, ``[milliseconds, score]`` each.

    The script hands the action and this list to a helper that is not printed ("Deep Learning Action Recognition:
    Drinking-Cooking", section 5.2); the file is ``{"<action>": [[ms, score], ...]}``, scores rounded to 5 digits. It
    knows neither the other frames nor the frame rate; segments say more.

    The rows go to a file beside it, which replaces ``path`` in :meth:`close`.

    Args:
        path: File.
        action: Name of the class.
    """

    def __init__(self, path: str | Path, action: str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._stream = self._part.open("w", encoding="utf-8")
        self._stream.write(f"{{{json.dumps(action, ensure_ascii=False)}: [")
        self._separator = ""

    def write(self, times: ArrayLike, scores: ArrayLike) -> None:
        """Add frames that show the action.

        Args:
            times: Seconds, ``(K,)``.
            scores: Mean score of the action, ``(K,)``, finite.
        """
        seconds, means = (np.asarray(column, np.float64).tolist() for column in (times, scores))
        for time, score in zip(seconds, means, strict=True):
            row = json.dumps([round(time * 1000, 6), round(score, 5)], allow_nan=False)
            self._stream.write(f"{self._separator}{row}")
            self._separator = ", "

    def close(self) -> None:
        """End the list and put the file in its place; a second call does nothing."""
        if self._stream.closed:
            return
        self._stream.write("]}\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._part.replace(self.path)
