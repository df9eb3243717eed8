"""Connected cells of one class, and the pixels of the source image that they cover; NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

# Cells touch over edges and corners, but never over classes.
_EIGHT_NEIGHBOURS = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])


def find_regions(scores: NDArray[np.float32], limits: NDArray[np.float32]) -> list[Region]:
    """8-connected cells of one class at or above its limit, highest score first.

    Args:
        scores: ``(C, h, w)``, of the cells whose centre lies inside the picture.
        limits: ``(C,)``.
    """
    above = scores >= limits[:, None, None]
    if not above.any():
        return []
    labels, _ = ndimage.label(above, structure=_EIGHT_NEIGHBOURS)
    found = [
        Region(int(where[0].start), where[1:], labels[where][0] == number, scores[where][0])
        for number, where in enumerate(ndimage.find_objects(labels), start=1)
    ]
    found.sort(key=lambda region: -region.score)  # stable: equal scores stay in order of class, row and column
    return found


def cells_inside(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of cells whose centre lies inside a picture of a height and width in pixels."""
    rows, columns = ((2 * side + stride) // (2 * stride) for side in size)
    return rows, columns


class Region:
    """Connected cells of one class: ``member`` says which cells of the window ``where`` belong."""

    def __init__(
        self, class_index: int, where: tuple[slice, ...], member: NDArray[np.bool_], values: NDArray[np.float32]
    ) -> None:
        self.class_index = class_index
        self.where = (where[0], where[1])
        self.member = member
        own = np.where(member, values, -1.0)
        peak = divmod(int(own.argmax()), own.shape[1])
        self.score = float(own[peak])
        self.peak = (where[0].start + peak[0], where[1].start + peak[1])

    def mean(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of features ``(F, h, w)`` over the cells, ``(F,)``."""
        own: NDArray[np.float32] = features[:, self.where[0], self.where[1]][:, self.member].mean(1)
        return own


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
