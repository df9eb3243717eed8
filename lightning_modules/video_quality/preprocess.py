"""From bytes to what the network takes: ImageNet's normalisation for the fragments, CLIP's for the key frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # of pixels in 0..255, RGB
IMAGENET_STD = (58.395, 57.12, 57.375)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of pixels in 0..1, RGB
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class VideoQualityPreprocess(nn.Module):
    """Normalise fragments and key frames; mean and deviation are saved in the checkpoint.

    Shape:
        - fragments: uint8 ``(N, 3, T, S, S)``, RGB.
        - key_frames: uint8 ``(N, N_t, 3, R, R)``, RGB.
        - returns: both as float32 of the same shapes, about zero mean and unit deviation.

    Example:
        >>> preprocess = VideoQualityPreprocess()
        >>> fragments = torch.full((1, 3, 2, 4, 4), 124, dtype=torch.uint8)
        >>> key_frames = torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8)
        >>> [x.dtype for x in preprocess(fragments, key_frames)]
        [torch.float32, torch.float32]
    """

    fragment_mean: Tensor
    fragment_std: Tensor
    key_frame_mean: Tensor
    key_frame_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fragment_mean", torch.tensor(IMAGENET_MEAN))
        self.register_buffer("fragment_std", torch.tensor(IMAGENET_STD))
        self.register_buffer("key_frame_mean", torch.tensor(CLIP_MEAN) * 255)
        self.register_buffer("key_frame_std", torch.tensor(CLIP_STD) * 255)

    def forward(self, fragments: Tensor, key_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise both views of a clip."""
        return (
            _normalise(fragments, self.fragment_mean.view(3, 1, 1, 1), self.fragment_std.view(3, 1, 1, 1)),
            _normalise(key_frames, self.key_frame_mean.view(3, 1, 1), self.key_frame_std.view(3, 1, 1)),
        )


def _normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract and divide in place on the float copy: the clips are large."""
    return pixels.to(mean.dtype).sub_(mean).mul_(1 / std)
