"""How rough a picture is: neighbouring pixels and frequencies, which tell noise and fog from a photograph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SMALL = 16  # side of the blurred pictures whose pixels are compared


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, across and down, ``(N,)``.

    Example:
        >>> total_variation(torch.full((1, 3, 4, 4), 0.3)).tolist()
        [0.0]
    """
    across = images.diff(dim=3).abs().mean(dim=(1, 2, 3))
    down = images.diff(dim=2).abs().mean(dim=(1, 2, 3))
    return across + down


def variation_ratio(images: Tensor, real: Tensor) -> float:
    """Mean total variation of images over that of real faces: far above 1 is noise, far below is fog."""
    return (total_variation(images).mean() / total_variation(real).mean()).item()


def blurred_pixels(images: Tensor) -> Tensor:
    """Pixels after an area average to 16 x 16, ``(N, 768)``: what is left when fine noise is not looked at."""
    return functional.adaptive_avg_pool2d(images, _SMALL).flatten(1)


def spectrum_slope(images: Tensor) -> Tensor:
    """Slope of log power over log frequency of the grey picture, ``(N,)``.

    About -2 for photographs; near 0 for white noise, steeper for fog.

    Args:
        images: ``(N, 3, S, S)``, S >= 8.
    """
    side = images.shape[-1]
    grey = images.double().mean(dim=1)
    grey = (grey - grey.mean(dim=(1, 2), keepdim=True)) * _window(side, images.device)
    power = torch.fft.fft2(grey).abs().square()
    frequency = torch.fft.fftfreq(side, device=images.device).mul(side)
    ring = (frequency[:, None].square() + frequency[None].square()).sqrt().round().long()
    rings = torch.arange(2, side // 2, device=images.device)
    shares = torch.stack([power[:, ring == number].mean(dim=1) for number in rings.tolist()], dim=1)
    x = rings.double().log()
    x = x - x.mean()
    y = (shares + 1e-12 * shares.amax(dim=1, keepdim=True) + 1e-30).log()
    return (y * x).sum(dim=1) / x.square().sum()


def _window(side: int, device: torch.device) -> Tensor:
    """Fades the picture out towards its rim, so that left and right edge need not fit together."""
    fade = torch.hann_window(side, periodic=False, dtype=torch.float64, device=device)
    return fade[:, None] * fade[None]
