"""Where the edges of cells lie in the source image: boxes and run-length strings of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


class SourceGrid:
    """Where the edges of cells lie in the source image."""

    def __init__(
        self, stride: int, size: tuple[int, int], source_size: tuple[int, int], cells: tuple[int, int]
    ) -> None:
        self.source_size = source_size
        self.rows = _edges(cells[0], stride, size[0], source_size[0])
        self.columns = _edges(cells[1], stride, size[1], source_size[1])

    def pixels(
        self, where: tuple[slice, slice], member: NDArray[np.bool_]
    ) -> tuple[tuple[float, float, float, float], str]:
        """Box (x1, y1, x2, y2) and compressed run-length string of some cells."""
        top, bottom = (edges[where[0]] for edges in self.rows)
        left, right = (edges[where[1]] for edges in self.columns)
        box = (float(left[0]), float(top[0]), float(right[-1]), float(bottom[-1]))
        return box, self._run_lengths(member, (top, bottom), (left, right))

    def _run_lengths(
        self,
        member: NDArray[np.bool_],
        rows: tuple[NDArray[np.int64], NDArray[np.int64]],
        columns: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> str:
        """Write the runs down from the cells: drawing the mask would cost the whole source image for each region."""
        height, width = self.source_size
        starts: list[NDArray[np.int64]] = []
        ends: list[NDArray[np.int64]] = []
        drawn = 0
        for column in range(member.shape[1]):
            # Cells under one pixel overlap; each pixel column is drawn once.
            left, right = max(int(columns[0][column]), drawn), int(columns[1][column])
            first, last = _runs(member[:, column])
            offsets = np.arange(left, right)[:, None] * height
            starts.append((offsets + rows[0][first]).ravel())
            ends.append((offsets + rows[1][last]).ravel())
            drawn = max(drawn, right)
        begin, end = np.concatenate(starts), np.concatenate(ends)
        # Runs that meet at the foot of one pixel column and the head of the next are one run.
        apart = np.flatnonzero(begin[1:] > end[:-1])
        edges = np.zeros(2 * len(apart) + 4, dtype=np.int64)
        edges[1], edges[3:-1:2] = begin[0], begin[apart + 1]
        edges[2:-2:2], edges[-2], edges[-1] = end[apart], end[-1], height * width
        counts = edges[1:] - edges[:-1]
        counts = counts[: len(counts) - int(counts[-1] == 0)]  # no healthy pixel follows
        uncompressed = {"size": [height, width], "counts": counts.tolist()}
        text: bytes = coco_mask.frPyObjects(uncompressed, height, width)["counts"]
        return text.decode("ascii")


def _edges(cells: int, stride: int, size: int, source_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end pixel of each cell along one axis: the pixels whose centres the cell holds, at least one.

    Neighbours share an edge unless cells are under one pixel.
    """
    places = np.minimum(np.arange(cells + 1, dtype=np.int64) * stride, size) * source_size
    edges = -((size - 2 * places) // (2 * size))  # ceil(place / size - 1 / 2) in whole numbers
    first = np.minimum(edges[:-1], source_size - 1)
    return first, np.maximum(edges[1:], first + 1)


def _runs(column: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last cell of each run of True."""
    framed = np.zeros(len(column) + 2, dtype=np.bool_)
    framed[1:-1] = column
    steps = np.flatnonzero(framed[1:] != framed[:-1])
    return steps[::2], steps[1::2] - 1
