"""What distorts a fragment: CONTRIQUE, a ResNet-50 trained to tell distortions apart.

References:
    Madhusudana et al., "Image Quality Assessment using Contrastive Learning", IEEE TIP 2022, section III;
    Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, section 4.3.
"""

from __future__ import annotations

from typing import Literal, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.nn.derived import KeepsDerived
from lightning_modules.nn.frozen import Freezable
from lightning_modules.video_quality.folded_resnet import FoldedNetwork, fold_resnet
from lightning_modules.video_quality.preprocess import IMAGENET_MEAN, IMAGENET_STD

DistortionInput = Literal["unit", "imagenet"]

RESNET50_FEATURES = 2048


class UnitPixels(nn.Module):
    """Undo the ImageNet normalisation: ``(N, 3, H, W)`` to RGB in [0, 1]."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) / 255, persistent=False)
        self.register_buffer("shift", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) / 255, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels to [0, 1]."""
        return x * self.scale.to(x.dtype) + self.shift.to(x.dtype)


class ContriqueDistortion(Freezable, KeepsDerived[FoldedNetwork]):
    """CONTRIQUE: ResNet-50, L2 normalisation, and a projector of two linear layers with batch norm.

    Frozen (the default) it runs without gradient as folded matrix products and convolutions, derived once from the
    weights (`folded_resnet`). Otherwise it is the network itself, in channels-last memory.

    Args:
        dim: Channels of the tokens.
        pixels: What the extractor was trained on: ``unit`` RGB in [0, 1] (upstream), or ``imagenet``-normalised pixels
            (what the released KSVQE feeds it).
        freeze: Fix weights and batch statistics for ever.
    """

    derived_limit = 1  # one folded copy is as large as the network

    def __init__(self, dim: int = 128, pixels: DistortionInput = "unit", freeze: bool = True) -> None:
        super().__init__()
        self.dim = dim
        self.encoder = timm.create_model("resnet50", pretrained=False, num_classes=0, global_pool="")
        width = RESNET50_FEATURES
        self.projector = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, dim, bias=False),
            nn.BatchNorm1d(dim),
        )
        self.unit_pixels = UnitPixels() if pixels == "unit" else nn.Identity()
        if freeze:
            self.freeze()

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens ``(N, dim)`` of ImageNet-normalised patches ``(N, 3, fs, fs)``."""
        patches = self.unit_pixels(patches)
        if self.frozen and not torch.compiler.is_exporting():  # a runtime folds by itself
            with torch.no_grad():
                return self._folded(patches)(patches)
        features = self.encoder(patches.contiguous(memory_format=torch.channels_last)).mean((2, 3))
        return cast(Tensor, self.projector(F.normalize(features, dim=1)))

    def _folded(self, patches: Tensor) -> FoldedNetwork:
        kind = patches.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else patches.dtype
        sources = [*self.parameters(), *self.buffers()]
        key = patches.device, dtype, tuple(patches.shape[-2:])
        return self.derived(key, sources, lambda: fold_resnet(self.encoder, self.projector, dtype, patches.shape[-2:]))
