"""Batch norms folded into the layers before them: the same activations from a network with fewer passes over memory."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from lightning_modules.face_attributes.classifier.layers import plain_backbone
from lightning_modules.face_attributes.classifier.vgg import VGG
from lightning_modules.nn.frozen import FrozenBatchNorm

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, FrozenBatchNorm)

Network = TypeVar("Network", bound=nn.Module)


def fold_norms(network: Network) -> Network:
    """A copy of a VGG, or of a classifier on one, in which each batch norm is part of the layer that it follows.

    The layers keep their names and, in evaluation mode and up to rounding, their values. A convolution and its norm
    take one pass over the maps then instead of two, forth and back, which a small network feels.

    Args:
        network: In evaluation mode.

    Returns:
        The copy, in evaluation mode; the network itself where there is nothing to fold.

    Example:
        >>> import torch
        >>> from lightning_modules.face_attributes.classifier.vgg import VGGSettings
        >>> network = VGG(VGGSettings((4,), (1,), (8,), norm=True), image_size=8).eval()
        >>> folded = fold_norms(network)
        >>> folded.layers == network.layers, any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
        (True, False)
        >>> picture = torch.rand(1, 3, 8, 8)
        >>> bool(torch.allclose(folded(picture), network(picture), atol=1e-5))
        True
    """
    backbone = plain_backbone(network)
    if not isinstance(backbone, VGG) or not backbone.settings.norm or backbone.training:
        return network
    folded = copy.deepcopy(network)
    copied = cast(VGG, plain_backbone(folded))
    for (layer, _), (norm, _) in zip(copied.steps, copied.steps[1:], strict=False):
        before, after = getattr(copied, layer), getattr(copied, norm)
        if not isinstance(after, _NORMS):
            continue
        fuse = fuse_conv_bn_weights if isinstance(before, nn.Conv2d) else fuse_linear_bn_weights
        before.weight, before.bias = fuse(
            before.weight, before.bias, cast(Tensor, after.running_mean), cast(Tensor, after.running_var), after.eps,
            after.weight, after.bias,
        )  # fmt: skip
        setattr(copied, norm, nn.Identity())
    return folded.requires_grad_(False)
