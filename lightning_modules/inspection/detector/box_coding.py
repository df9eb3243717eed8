"""Boxes as a detector predicts them: offsets from the cell and factors of the anchor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_modules.inspection.detector.anchors import cell_centres

LARGEST_FACTOR = 16.0  # of an anchor's side, and one over it the smallest
_EDGE = 1e-4  # of the reach of a centre or a side: keeps t finite


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


def encode_boxes(boxes: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """What the network must give for boxes: the inverse of :func:`decode_boxes`.

    Sides beyond 16 times the anchor's, or below a sixteenth, are moved there.

    Args:
        boxes: ``(B, A, 4, h, w)``, x1, y1, x2, y2 in pixels; the box of each anchor. Its centre lies in the anchor's
            cell or less than half a cell beyond; what lies farther is moved there.
        anchors: ``(A, 2)``, widths and heights in pixels.
        stride: Side of a cell in pixels.

    Returns:
        ``(B, A, 4, h, w)``, t of x, y, width and height, finite for boxes of positive sides.
    """
    height, width = boxes.shape[-2:]
    cell = cell_centres(stride, (height, width), boxes).permute(2, 0, 1)
    centre = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
    share = ((centre - cell) / stride + 1) / 2
    side = (boxes[:, :, 2:] - boxes[:, :, :2]) / anchors.to(boxes.dtype)[:, :, None, None]
    limit = math.log(LARGEST_FACTOR)
    factor = limit * (side.log() / limit).clamp(_EDGE - 1, 1 - _EDGE).atanh()
    return torch.cat((share.clamp(_EDGE, 1 - _EDGE).logit(), factor), dim=2)
