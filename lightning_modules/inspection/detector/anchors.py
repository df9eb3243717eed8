"""Anchor shapes from the data, the anchors of a grid, and boxes as offsets from cells and factors of anchors."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.common.errors import ConfigurationError

MAX_ROUNDS = 300
LARGEST_FACTOR = 16.0  # of an anchor's side, and one over it the smallest


def shape_iou(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of boxes that share their centre: intersection over union of every pair of shapes.

    Args:
        first: ``(..., N, 2)``, widths and heights, positive.
        second: ``(K, 2)``, likewise.

    Returns:
        ``(..., N, K)`` in 0..1; NaN where a shape is NaN.

    Example:
        >>> shape_iou(torch.tensor([[2.0, 2.0]]), torch.tensor([[2.0, 2.0], [4.0, 2.0]]))
        tensor([[1.0000, 0.5000]])
    """
    overlap = torch.minimum(first.unsqueeze(-2), second).prod(dim=-1)
    return overlap / (first.prod(dim=-1).unsqueeze(-1) + second.prod(dim=-1) - overlap)


def fit_anchors(boxes_wh: NDArray[np.floating], k: int, seed: int = 0) -> Tensor:
    """Shapes of k anchors by k-means under the distance 1 - IoU of shapes.

    The start is k-means++ with draws from ``seed`` alone, so that equal boxes give equal anchors in every process.

    Args:
        boxes_wh: ``(N, 2)``, widths and heights of the labelled boxes in pixels of the network's input.
        k: Number of anchors.
        seed: Seed of the start.

    Returns:
        float32 ``(k, 2)``, widths and heights, from small to large area.

    Raises:
        ConfigurationError: If there are fewer than k different shapes, or a shape is not finite and positive.

    References:
        Redmon and Farhadi, "YOLO9000: Better, Faster, Stronger", CVPR 2017, section 2, "Dimension Clusters".

    Example:
        >>> fit_anchors(np.array([[9.0, 10.0], [11.0, 10.0], [40.0, 20.0]]), 2)
        tensor([[10., 10.],
                [40., 20.]])
    """
    shapes = np.asarray(boxes_wh, dtype=np.float64).reshape(-1, 2)
    if not (np.isfinite(shapes) & (shapes > 0)).all():
        bad = shapes[~(np.isfinite(shapes) & (shapes > 0)).all(axis=1)][0]
        raise ConfigurationError(
            f"A box for the anchors is {bad[0]:g} x {bad[1]:g} pixels; widths and heights are finite and above 0: "
            "correct the labels."
        )
    distinct = len(np.unique(shapes, axis=0))
    if distinct < k:
        raise ConfigurationError(
            f"{k} anchors were asked of boxes of {distinct} different shapes: lower num_anchors, or give anchors."
        )
    centres = _start(shapes, k, np.random.default_rng(seed))
    nearest = np.full(len(shapes), -1)
    for _ in range(MAX_ROUNDS):
        distance = _distance(shapes, centres)
        before, nearest = nearest, distance.argmin(axis=1)
        if (nearest == before).all():
            break
        for index in range(k):
            members = shapes[nearest == index]
            # An empty cluster moves to the worst served box.
            centres[index] = members.mean(axis=0) if len(members) else shapes[distance.min(axis=1).argmax()]
    return torch.from_numpy(centres[np.lexsort((centres[:, 0], centres.prod(axis=1)))]).float()


def _distance(shapes: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = 1 - shape_iou(torch.from_numpy(shapes), torch.from_numpy(centres)).numpy()
    return distance


def _start(shapes: NDArray[np.float64], k: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Boxes drawn one after the other, each in proportion to its squared distance from those before."""
    chosen = [shapes[generator.integers(len(shapes))]]
    while len(chosen) < k:
        squared = _distance(shapes, np.stack(chosen)).min(axis=1).clip(min=0) ** 2
        chosen.append(shapes[generator.choice(len(shapes), p=squared / squared.sum())])
    return np.stack(chosen)


def prior_boxes(anchors: Tensor, stride: int, grid: tuple[int, int]) -> Tensor:
    """The anchors of every cell, centred on it; they may reach beyond the image.

    Args:
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.
        grid: Height and width in cells.

    Returns:
        ``(A, h, w, 4)``, x1, y1, x2, y2 in pixels, in the dtype of ``anchors``.
    """
    centre = cell_centres(stride, grid, anchors)
    half = anchors[:, None, None] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def cell_centres(stride: int, grid: tuple[int, int], like: Tensor) -> Tensor:
    """Centre of every cell, ``(h, w, 2)`` as x, y in pixels, with dtype and device of ``like``."""
    rows, columns = ((torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) * stride for size in grid)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def decode_boxes(raw: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """Boxes from what the network gives.

    The centre is (cell + 2 sigmoid(t) - 1/2) * stride, so that it reaches the cell's border, and half a cell beyond,
    at finite t. A side is anchor * exp(L tanh(t / L)) with L = log 16: YOLOv3's exp(t) for sides like the anchor's, yet
    bounded and nowhere without a gradient, so that no wild step of the first epochs is there for good.

    Args:
        raw: ``(B, A, 4, h, w)``, t of x, y, width and height; any floating dtype.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.

    Returns:
        At least float32 ``(B, A, 4, h, w)``, x1, y1, x2, y2 in pixels, not clipped to the image.

    References:
        Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1, for the sides; Bochkovskiy et
        al., "YOLOv4", 2020, section 3.4, "Eliminate grid sensitivity", for the centre.
    """
    raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
    height, width = raw.shape[-2:]
    cell = cell_centres(stride, (height, width), raw).permute(2, 0, 1)
    centre = cell + (2 * raw[:, :, :2].sigmoid() - 1) * stride
    limit = math.log(LARGEST_FACTOR)
    half = anchors.to(raw.dtype)[:, :, None, None] * (limit * (raw[:, :, 2:] / limit).tanh()).exp() / 2
    return torch.cat((centre - half, centre + half), dim=2)
