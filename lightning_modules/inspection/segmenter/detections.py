"""From a map of area scores to detections: connected regions of cells, in pixels of the source image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.inspection.batch import Detection
from lightning_modules.inspection.segmenter.regions import Region, SourceGrid, cells_inside, find_regions
from lightning_modules.inspection.uncertainty import binary_entropy


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
    inside = (int(size[0]), int(size[1]))
    rows, columns = cells_inside(inside, stride)
    limits = np.asarray([float(value) for value in thresholds], dtype=np.float32)
    found = find_regions(scores[:, :rows, :columns].detach().float().cpu().numpy(), limits)[:max_detections]
    if not found:
        return []
    grid = SourceGrid(stride, inside, (int(source_size[0]), int(source_size[1])), (rows, columns))
    # One copy from the device for all regions.
    embeddings = None if features is None else features.detach().float().cpu().numpy()
    sampled = None if mutual_information is None else mutual_information.detach().float().cpu().numpy()
    return [_detection(region, grid, float(limits[region.class_index]), embeddings, sampled) for region in found]


def _detection(
    region: Region,
    grid: SourceGrid,
    threshold: float,
    features: NDArray[np.float32] | None,
    mutual_information: NDArray[np.float32] | None,
) -> Detection:
    """Describe a region in pixels of the source image."""
    box, rle = grid.pixels(region.where, region.member)
    sampled = None if mutual_information is None else float(mutual_information[(region.class_index, *region.peak)])
    return Detection(
        class_index=region.class_index,
        score=region.score,
        box=box,
        margin=region.score - threshold,
        entropy=float(binary_entropy(torch.tensor(region.score, dtype=torch.float64))),
        rle=rle,
        mc_dropout=sampled,
        embedding=None if features is None else torch.from_numpy(region.mean(features)).half(),
    )
