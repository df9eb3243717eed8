"""From a map of area scores to detections: connected regions of cells, in pixels of the source image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from datamodules.inspection.batch import Detection
from lightning_modules.inspection.segmenter.source_grid import SourceGrid
from lightning_modules.inspection.uncertainty import binary_entropy

# Cells touch over edges and corners, but never over classes.
_EIGHT_NEIGHBOURS = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])


def region_detections(
    scores: Tensor,
    stride: int,
    thresholds: Tensor | Sequence[float],
    size: Sequence[int] | Tensor,
    source_size: Sequence[int] | Tensor,
    *,
    features: Tensor | None = None,
    mutual_information: Tensor | None = None,
    max_detections: int | None = None,
) -> list[Detection]:
    """8-connected regions of cells of one class at or above the class's threshold.

    Cells whose centre lies outside the picture are left out, as they are from targets and measures. A region's box and
    run-length mask are the pixels of the source image that its cells cover, clipped to the image; every region covers
    at least one pixel.

    Args:
        scores: ``(C, h, w)`` float, probabilities of each cell; on the CPU, or it is copied there.
        stride: Pixels of the network's image that a cell is high and wide.
        thresholds: ``(C,)`` in 0..1.
        size: Height and width of the picture inside the network's image, in pixels.
        source_size: Height and width of the upright source image, in pixels.
        features: ``(F, h, w)``, averaged over each region's cells into ``embedding``.
        mutual_information: ``(C, h, w)`` in nats under dropout; ``mc_dropout`` is its value at the region's highest
            score.
        max_detections: Keep that many of the highest scores; None keeps all.

    Returns:
        Detections, highest score first.

    Example:
        >>> import torch
        >>> scores = torch.zeros(1, 4, 4)
        >>> scores[0, 1, 1], scores[0, 2, 2] = 0.9, 0.6
        >>> [(found.score > 0.8, found.box) for found in region_detections(scores, 8, [0.5], (32, 32), (64, 64))]
        [(True, (16.0, 16.0, 48.0, 48.0))]
    """
    height, width = int(size[0]), int(size[1])
    rows, columns = ((2 * side + stride) // (2 * stride) for side in (height, width))
    values = scores[:, :rows, :columns].detach().float().cpu().numpy()
    limits = np.asarray([float(value) for value in thresholds], dtype=np.float32)
    above = values >= limits[:, None, None]
    if not above.any():
        return []
    labels, _ = ndimage.label(above, structure=_EIGHT_NEIGHBOURS)
    grid = SourceGrid(stride, (height, width), (int(source_size[0]), int(source_size[1])), (rows, columns))
    found = [
        _Region(int(where[0].start), where[1:], labels[where][0] == number, values[where][0])
        for number, where in enumerate(ndimage.find_objects(labels), start=1)
    ]
    # One copy from the device for all regions.
    embeddings = None if features is None else features.detach().float().cpu().numpy()
    sampled = None if mutual_information is None else mutual_information.detach().float().cpu().numpy()
    found.sort(key=lambda region: -region.score)  # stable: equal scores stay in order of class, row and column
    return [
        region.detection(grid, float(limits[region.class_index]), embeddings, sampled)
        for region in found[:max_detections]
    ]


class _Region:
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

    def detection(
        self,
        grid: SourceGrid,
        threshold: float,
        features: NDArray[np.float32] | None,
        mutual_information: NDArray[np.float32] | None,
    ) -> Detection:
        """Describe the region in pixels of the source image."""
        box, rle = grid.pixels(self.where, self.member)
        embedding = None
        if features is not None:
            mean = features[:, self.where[0], self.where[1]][:, self.member].mean(1)
            embedding = torch.from_numpy(mean).half()
        sampled = None if mutual_information is None else float(mutual_information[(self.class_index, *self.peak)])
        return Detection(
            class_index=self.class_index,
            score=self.score,
            box=box,
            margin=self.score - threshold,
            entropy=float(binary_entropy(torch.tensor(self.score, dtype=torch.float64))),
            rle=rle,
            mc_dropout=sampled,
            embedding=embedding,
        )
