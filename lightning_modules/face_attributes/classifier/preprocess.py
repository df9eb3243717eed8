"""From bytes to what the network takes, and back to a picture: one normalisation, saved in the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.timm_backbone import IMAGENET_MEAN, IMAGENET_STD

ChannelOrder = Literal["rgb", "bgr"]
Preprocessing = Literal["vgg_face", "imagenet", "unit", "backbone"]


@dataclass(frozen=True)
class Normalisation:
    """How pixels in 0..1 become the numbers that a network expects: ``(pixel * scale - mean) / std``.

    Attributes:
        mean: Of each colour, in the order of the channels, in units of ``scale``.
        std: Deviation of each colour, in the same units.
        scale: 1 for networks of pixels in 0..1, 255 for networks of pixels in 0..255.
        channel_order: Order in which the network takes the colours.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    channel_order: ChannelOrder = "rgb"


# VGG-Face (Parkhi et al., BMVC 2015): pixels in 0..255 without the mean colour of its training faces.
VGG_FACE = Normalisation((129.1863, 104.7624, 93.5940), (1.0, 1.0, 1.0), 255.0)
IMAGENET = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
UNIT = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
NORMALISATIONS: dict[Preprocessing, Normalisation] = {"vgg_face": VGG_FACE, "imagenet": IMAGENET, "unit": UNIT}


class FacePreprocess(nn.Module):
    """Resize faces where needed and normalise them; `inverse` leads back.

    All of it is differentiable, so that an image can be optimised through it.

    Shape:
        - faces: uint8 ``(B, 3, H, W)``, RGB.
        - returns: float32 ``(B, 3, size, size)``, channels last in memory.

    Args:
        size: Side of the network's input in pixels; the aspect ratio is not kept.
        mean: Of each colour, in the order of ``channel_order``, in units of ``scale``.
        std: Deviation of each colour.
        channel_order: Order in which the network takes the colours.
        scale: Largest value of a pixel as the network sees it, 1 or 255.
        mean_image: Mean of the training faces, float ``(3, size, size)`` in the units and order of ``mean``, taken off
            in place of the mean colour; ``True`` leaves room for one that `set_mean_image` or a checkpoint brings.

    Raises:
        ConfigurationError: If a number of colours is not three, or a deviation, the scale or the size not positive.

    Example:
        >>> preprocess = FacePreprocess(2, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
        >>> made = preprocess(white)
        >>> [round(float(value[0, 0, 0, 0]), 4) for value in (made, preprocess.inverse(made))]
        [2.0, 1.0]
    """

    mean: Tensor
    std: Tensor
    scale: Tensor

    def __init__(
        self,
        size: int = 224,
        mean: Sequence[float] = UNIT.mean,
        std: Sequence[float] = UNIT.std,
        channel_order: ChannelOrder = "rgb",
        scale: float = 1.0,
        mean_image: Tensor | bool = False,
    ) -> None:
        super().__init__()
        if size < 1 or scale <= 0 or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigurationError(
                f"Faces cannot be normalised with size {size}, scale {scale}, mean {tuple(mean)} and deviation "
                f"{tuple(std)}: give a positive size and scale, and three colours with positive deviations."
            )
        self.side = size
        self.channel_order = channel_order
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(float(scale)))
        if mean_image is not False:  # the mean colour stands in until the mean image is known
            self.mean = self.mean.expand(3, size, size).clone()
        if isinstance(mean_image, Tensor):
            self.set_mean_image(mean_image)

    @classmethod
    def from_normalisation(
        cls, size: int, normalisation: Normalisation, mean_image: Tensor | bool = False
    ) -> FacePreprocess:
        """Preprocessing of faces of ``size`` pixels with the numbers of ``normalisation``."""
        numbers = normalisation
        return cls(size, numbers.mean, numbers.std, numbers.channel_order, numbers.scale, mean_image)

    @property
    def has_mean_image(self) -> bool:
        """Whether a mean of each pixel is taken off, not of each colour."""
        return self.mean.shape[-1] > 1 or self.mean.shape[-2] > 1

    def set_mean_image(self, image: Tensor) -> None:
        """Take off ``image`` ``(3, size, size)`` from now on, in the units and order of the network's input."""
        if tuple(image.shape) != (3, self.side, self.side):
            raise ConfigurationError(
                f"The mean image is {tuple(image.shape)}, but faces are (3, {self.side}, {self.side}): compute it from "
                "faces of that size."
            )
        self.mean = image.to(self.std).clone()

    def forward(self, faces: Tensor) -> Tensor:
        """Normalise uint8 ``(B, 3, H, W)``, RGB, resized to the side of the network where it differs."""
        # Colours last: convolutions are faster so, on a CPU and in half precision on a GPU.
        pixels = faces.to(self.std.dtype, memory_format=torch.channels_last)
        if pixels.shape[-2:] != (self.side, self.side):
            pixels = F.interpolate(pixels, (self.side, self.side), mode="bilinear", antialias=True)
        return self.normalise(pixels / 255.0)

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise float ``(B, 3, size, size)`` of RGB in 0..1; differentiable."""
        return (self._reordered(images) * self.scale - self.mean) / self.std

    def inverse(self, normalised: Tensor) -> Tensor:
        """RGB of 0..1 ``(B, 3, size, size)`` of what `normalise` gave; values outside are not cut off."""
        return self._reordered((normalised * self.std + self.mean) / self.scale)

    def _reordered(self, images: Tensor) -> Tensor:
        """RGB to the network's order or back; a flip is its own inverse."""
        return images.flip(1) if self.channel_order == "bgr" else images

    def extra_repr(self) -> str:
        """Size, order of the colours, and whether there is a mean image."""
        return f"size={self.side}, channel_order={self.channel_order}, mean_image={self.has_mean_image}"
