"""Light, colour, focus and noise of the picture as a whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from datamodules.common.seeded_draws import key_of
from datamodules.faces.renderer.canvas import Canvas, column
from datamodules.faces.renderer.parameters import FaceParameters

_GREYS = (0.299, 0.587, 0.114)  # ITU-R BT.601


def light(canvas: Canvas) -> None:
    """Ordinary light with its differences; harsh light from one side; soft light; a flash."""
    p, image = canvas.parameters, canvas.image
    strength = p.strength[:, 0]
    slope = column(0.12 * p.spread("side") * strength)
    image.mul_((1 + slope * canvas.x)[:, None])
    _harsh(canvas)
    _flash(canvas)
    image.mul_((1 + 0.14 * p.spread("brightness") * strength)[:, None, None, None])
    warm = 0.06 * (p.spread("warmth") * strength)[:, None] * torch.tensor([1.0, 0.0, -1.0])
    image.mul_((1 + warm)[:, :, None, None])
    contrast = (1 + 0.12 * p.spread("contrast") * strength)[:, None, None, None]
    image.sub_(0.5).mul_(contrast).add_(0.5)
    _soft(canvas)


def _harsh(canvas: Canvas) -> None:
    """One side lies in a shadow with a clear edge, the other is bright."""
    with canvas.patch(where=canvas.parameters.is_("light", "harsh")) as patch:
        q = patch.parameters
        side = column(torch.where(q.varied("side") < 0.5, -1.0, 1.0))
        edge = patch.x * side - 0.05 - 0.12 * patch.y
        shade = patch.soft(-edge, 0.10)
        patch.image.mul_((1.18 - 0.68 * shade)[:, None])


def _flash(canvas: Canvas) -> None:
    """The middle is overexposed and the rest falls off into the dark."""
    with canvas.patch(where=canvas.parameters.flash) as patch:
        far = (patch.x * patch.x + (patch.y + 0.05) * (patch.y + 0.05)).clamp(max=1.25)
        patch.image.mul_((1.16 - 0.68 * far)[:, None])
        patch.image.add_((0.05 * (1 - far * 2.2).clamp(min=0))[:, None])


def _soft(canvas: Canvas) -> None:
    """Light from everywhere: little contrast, bright to the edges."""
    with canvas.patch(where=canvas.parameters.is_("light", "soft")) as patch:
        far = ((patch.x * patch.x + patch.y * patch.y) * 0.5 - 0.2).clamp(0, 0.6)
        haze = (0.20 + far)[:, None]
        patch.image.mul_(1 - haze).add_(haze * torch.tensor([0.96, 0.94, 0.90])[:, None, None])


def develop(canvas: Canvas) -> Tensor:
    """Grey photos, focus and noise.

    Returns:
        uint8 ``(B, 3, S, S)``.
    """
    p, image = canvas.parameters, canvas.image
    grey = ~p.colour
    if bool(grey.any()):
        red, green, blue = image[grey].unbind(1)
        single = red * _GREYS[0] + green * _GREYS[1] + blue * _GREYS[2]
        image[grey] = single[:, None].expand(-1, 3, -1, -1).contiguous()
    if bool(p.blurry.any()):
        image[p.blurry] = blurred(image[p.blurry])
    scale = p.strength[:, 3, None, None, None] / 255
    image.add_(_noise(p, canvas.side)[:, None] * scale)
    return image.mul_(255).add_(0.5).clamp_(0, 255.0).to(torch.uint8)


def blurred(image: Tensor) -> Tensor:
    """Three times the mean over a square of about 4 % of the side, near to a Gaussian."""
    reach = max(1, round(image.shape[-1] / 64))
    for _ in range(3):
        image = avg_pool2d(image, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
    return image


def _noise(p: FaceParameters, side: int) -> Tensor:
    """Noise of mean 0 and deviation 1, the sum of two uniform numbers, float32 ``(B, S, S)``."""
    pixels = torch.arange(side * side, dtype=torch.int64)
    word = (key_of("noise", p.key) >> 33)[:, None] + pixels * 0x9E3779B1
    word = (word ^ (word >> 15)) * 0x85EBCA77 & 0xFFFFFFFF
    word = (word ^ (word >> 13)) * 0xC2B2AE3D & 0xFFFFFFFF
    word = word ^ (word >> 16)
    total = ((word & 0xFFFF) + (word >> 16)).float()
    return ((total - 65535) / 26755).view(-1, side, side)
