"""Draw the head: its outline, ears, skin, hair, beard and hat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.faces.renderer.canvas import Canvas, Patch, column, ellipse, pick, wave
from datamodules.faces.renderer.colours import hair_of, hue, skin_of
from datamodules.faces.renderer.parameters import FaceParameters

_MIDDLE = -0.08  # height of the widest part of an ordinary head
_TOP = 0.62  # from there to the crown


@dataclass(frozen=True)
class HeadShape:
    """Numbers of the outline, ``(n, 1, 1)`` each: half width, depth of the lower half, taper, squareness, cheeks."""

    wide: Tensor
    deep: Tensor
    taper: Tensor
    square: Tensor
    cheeks: Tensor


def shape_of(p: FaceParameters) -> HeadShape:
    """The outline that the face shape, the cheeks and the jaw give."""
    rows = torch.tensor(  # oval, heart, square, round
        [[0.445, 0.67, 0.18, 0.0], [0.53, 0.67, 0.52, 0.0], [0.49, 0.62, -0.06, 1.0], [0.585, 0.61, 0.0, 0.1]]
    )[p.face_shape]
    wide, deep, taper, square = (column(rows[:, index]) for index in range(4))
    return HeadShape(wide + column(0.015 * p.spread("width")), deep, taper, square, pick(p.chubby, 0.115, 0.0))


def outline(x: Tensor, y: Tensor, shape: HeadShape) -> Tensor:
    """About the signed distance to the outline of the head."""
    down = y - _MIDDLE
    low = down.clamp(min=0) / shape.deep
    along = low + down.clamp(max=0) / _TOP
    bulge = (1 - ((down - 0.30) * 3.2).square()).clamp(min=0)
    across = x / (shape.wide * (1 - shape.taper * low * low).clamp(min=0.2) + shape.cheeks * bulge)
    across, along = across * across, along * along
    rounded = across + along
    corner = across * across + along * along
    amount = shape.square * (low > 0)
    return ((rounded + amount * (corner - rounded)).sqrt() - 1) * 0.5


def paint_head(canvas: Canvas) -> None:
    """Ears, the double chin and the head in the colour of the skin; sets the head of the canvas."""
    p = canvas.parameters
    skin = skin_of(p)
    shape = shape_of(p)
    canvas.head = outline(canvas.x, canvas.y, shape)
    with canvas.patch((-0.75, -0.2, 0.75, 0.15)) as patch:
        ear = ellipse(patch.x.abs() - shape.wide - 0.01, patch.y + 0.03, 0.075, 0.13)
        patch.paint(patch.soft(ear), skin * 0.88)
        patch.paint(patch.soft(ear + 0.045), skin * 0.62)
    with canvas.patch((-0.5, 0.4, 0.5, 0.75), p.double_chin) as patch:
        own = skin_of(patch.parameters)
        fold = ellipse(patch.x, patch.y - _MIDDLE - shape.deep[p.double_chin] + 0.06, 0.36, 0.155)
        patch.paint(patch.soft(fold - 0.03), own * 0.50)
        patch.paint(patch.soft(fold), own * 0.94)
    with canvas.patch((-0.8, -0.8, 0.8, 0.75)) as patch:
        patch.paint(patch.soft(patch.head - 0.012), skin * 0.62)
        patch.paint(patch.soft(patch.head + 0.012), skin)
        rim = patch.soft(patch.head + 0.012) * ((patch.head + 0.2) * 1.3).clamp(0, 0.25)
        patch.image.mul_((1 - rim)[:, None])


def strands(patch: Patch, p: FaceParameters, x: Tensor, y: Tensor) -> Tensor:
    """Colour of hair with the light and dark of its texture, ``(n, 3, h, w)``."""
    straight = wave(x * 7 + 0.3 * y)
    wavy = wave(x * 3.2 + 0.55 * wave(y * 2.6))
    curly = wave(x * 4.4 + 0.35 * wave(y * 2.2)) * wave(y * 4.4 + 0.35 * wave(x * 2.2))
    texture = _by_texture(p, straight * 0.55, wavy, curly * 1.3)
    hair = hair_of(p)[:, :, None, None]
    gain = 0.10 + 0.22 * hair
    return hair + gain * texture[:, None]


def paint_hair(canvas: Canvas) -> None:
    """The hair on the head, its hairline, the fringe, and long hair at the sides."""
    p = canvas.parameters
    bald = p.is_("hair_loss", "bald")
    with canvas.patch((-0.9, -1.2, 0.9, 0.35), ~bald) as patch:
        q = patch.parameters
        thick = _by_texture(q, torch.full_like(patch.x, 0.08), _edge(patch, 0.10, 0.03), _edge(patch, 0.16, 0.055))
        thick = thick + column(q.long_hair * 0.04)
        away = patch.u.abs()
        full = patch.y + 0.52 - 2.4 * (patch.x.abs() - shape_of(q).wide + 0.12).clamp(min=0)
        full = torch.minimum(full, -0.012 - patch.head)  # no skin between the hair and the outline
        peak = torch.minimum(-0.045 - patch.head, torch.maximum(patch.y + 0.50, away - 0.09 + 0.4 * (patch.y + 0.6)))
        line = torch.where(column(q.is_("hair_loss", "receding")), peak, full)
        cap = torch.maximum(torch.maximum(patch.head - thick, line), patch.y + 0.02)
        patch.paint(patch.soft(cap), strands(patch, q, patch.x, patch.y))
    _paint_long_hair(canvas)
    _paint_sideburns(canvas)
    _paint_fringe(canvas)


def _paint_long_hair(canvas: Canvas) -> None:
    with canvas.patch((-0.95, -0.6, 0.95, 1.0), canvas.parameters.long_hair) as patch:
        q = patch.parameters
        wide = shape_of(q).wide
        sway = _by_texture(q, torch.zeros_like(patch.x), 0.05 * wave(patch.y * 2.6), 0.045 * wave(patch.y * 5.2))
        extra = column(torch.tensor([0.12, 0.15, 0.20])[q.hair_texture])
        outer = torch.where(patch.y < _MIDDLE, patch.head, patch.x.abs() - wide) - extra - sway
        side = torch.maximum(torch.maximum(outer, wide * 0.62 - patch.x.abs()), -0.035 - patch.head)
        long = torch.maximum(side, (patch.y - 0.18).abs() - 0.68)
        patch.paint(patch.soft(long), strands(patch, q, patch.x, patch.y))


def _paint_sideburns(canvas: Canvas) -> None:
    where = canvas.parameters.sideburns & ~canvas.parameters.long_hair
    with canvas.patch((-0.65, -0.3, 0.65, 0.25), where) as patch:
        strip = torch.maximum(patch.head + 0.01, -0.135 - patch.head)
        strip = torch.maximum(strip, (patch.y + 0.02).abs() - 0.23)
        patch.paint(patch.soft(strip), hair_of(patch.parameters) * 0.75)


def _paint_fringe(canvas: Canvas) -> None:
    p = canvas.parameters
    where = ~p.is_("fringe", "none") & p.is_("hat", "none")
    with canvas.patch((-0.65, -0.75, 0.65, -0.15), where) as patch:
        q = patch.parameters
        teeth = _by_texture(q, 0.020 * wave(patch.u * 6), 0.03 * wave(patch.u * 3.2), 0.03 * wave(patch.u * 5.2))
        side = pick(q.varied("parting") < 0.5, 1.0, -1.0)
        sweep = -0.42 + 0.26 * patch.u * side
        low = torch.where(column(q.is_("fringe", "short")), torch.full_like(patch.u, -0.385), sweep)
        low = torch.where(column(q.is_("fringe", "long")), torch.full_like(patch.u, -0.305), low)
        fringe = torch.maximum(patch.head, patch.y - low - teeth)
        patch.paint(patch.soft(fringe), strands(patch, q, patch.x, patch.y))


def paint_beard(canvas: Canvas) -> None:
    """Stubble, a goatee or a full beard; lips are drawn over it later."""
    p = canvas.parameters
    with canvas.patch((-0.65, 0.0, 0.65, 0.65), p.shadow & ~p.is_("beard", "full")) as patch:
        grain = 0.75 + 0.25 * wave(patch.x * 9.5 + 0.5 * (patch.y * 11).floor()) * wave(patch.y * 11)
        area = patch.soft(torch.maximum(patch.head + 0.02, _beard_line(patch) - patch.y), 0.06)
        patch.tint(area * grain * 0.8, torch.tensor([0.40, 0.46, 0.56]))
    with canvas.patch((-0.65, 0.0, 0.65, 0.7), p.is_("beard", "full")) as patch:
        area = torch.maximum(patch.head - 0.035, _beard_line(patch) - patch.y)
        curl = 1 + 0.18 * wave(patch.x * 6 + 0.5 * (patch.y * 6).floor()) * wave(patch.y * 6)
        patch.paint(patch.soft(area), (hair_of(patch.parameters) * 0.9)[:, :, None, None] * curl[:, None])
    with canvas.patch((-0.2, 0.35, 0.2, 0.72), p.is_("beard", "goatee")) as patch:
        area = ellipse(patch.u, patch.y - 0.55, 0.15, 0.125)
        patch.paint(patch.soft(area), hair_of(patch.parameters) * 0.9)


def _beard_line(patch: Patch) -> Tensor:
    """Upper edge of a beard: over the lip, and rising to the ears."""
    return 0.185 - 0.75 * (patch.u.abs() - 0.27).clamp(min=0)


def paint_hat(canvas: Canvas) -> None:
    """A hat with a brim, high on the forehead or low over it."""
    with canvas.patch((-0.95, -1.3, 0.95, -0.1), ~canvas.parameters.is_("hat", "none")) as patch:
        q = patch.parameters
        brim = pick(q.is_("hat", "low"), -0.34, -0.47)
        wide = shape_of(q).wide
        colour = hue(q, "wear_hue", 0.12, 0.30 + 0.55 * q.varied("wear_light"))
        crown = torch.maximum(ellipse(patch.x, patch.y - brim, wide + 0.07, 0.56), patch.y - brim)
        patch.paint(patch.soft(crown), colour)
        band = torch.maximum(crown, brim - 0.13 - patch.y)
        patch.paint(patch.soft(band), colour * 0.45)
        edge = ellipse(patch.x, patch.y - brim, wide + 0.20, 0.05)
        patch.paint(patch.soft(edge), colour * 0.75)


def _edge(patch: Patch, thick: float, bump: float) -> Tensor:
    """Thickness of hair with bumps along the outline: they run across at the top and along at the sides."""
    across, along = patch.x * patch.x, (patch.y - _MIDDLE) * (patch.y - _MIDDLE)
    top = along / (across + along + 1e-3)
    return thick + bump * (top * wave(patch.x * 4.4) + (1 - top) * wave(patch.y * 4.4))


def _by_texture(p: FaceParameters, straight: Tensor, wavy: Tensor, curly: Tensor) -> Tensor:
    bent = torch.where(column(p.is_("hair_texture", "wavy")), wavy, straight)
    return torch.where(column(p.is_("hair_texture", "curly")), curly, bent)
