"""Draw what is worn on the face: glasses and earrings."""

from __future__ import annotations

import torch

from datamodules.faces.renderer.canvas import Canvas, column, ellipse, segment
from datamodules.faces.renderer.colours import frame_of, jewel_of
from datamodules.faces.renderer.head import shape_of

_LENS_X, _LENS_Y = 0.222, -0.065


def paint_glasses(canvas: Canvas) -> None:
    """Frames with clear lenses, or dark ones."""
    p = canvas.parameters
    with canvas.patch((-0.65, -0.25, 0.65, 0.15), ~p.is_("eyewear", "none")) as patch:
        q = patch.parameters
        away, y = patch.u.abs(), patch.y - _LENS_Y
        across, along = ((away - _LENS_X) / 0.200).square(), (y / 0.150).square()
        boxy = column((q.varied("lens") < 0.5).float())
        curve = across + along
        lens = ((curve + boxy * (across * across + along * along - curve)).sqrt() - 1) * 0.150
        dark = column(q.is_("eyewear", "sunglasses").float())
        frame = frame_of(q)
        patch.paint(patch.soft(lens) * dark, torch.tensor([0.05, 0.05, 0.07]))
        patch.paint(patch.soft(lens) * (1 - dark) * 0.12, torch.tensor([0.85, 0.93, 1.0]))
        glint = segment(away, y, (0.17, 0.03), (0.25, -0.07)) - 0.022
        patch.paint(patch.soft(torch.maximum(glint, lens)) * (0.25 + 0.25 * dark), torch.ones(3))
        bridge = torch.maximum((y + 0.03).abs() - 0.022, away - 0.06)
        temple = torch.maximum(torch.maximum((y + 0.03).abs() - 0.020, 0.40 - away), away - shape_of(q).wide)
        rims = torch.minimum(torch.minimum(lens.abs() - 0.020, bridge), temple)
        patch.paint(patch.soft(rims), frame)


def paint_earrings(canvas: Canvas) -> None:
    """Drops under the ears, where hair does not hide them."""
    p = canvas.parameters
    with canvas.patch((-0.72, 0.0, 0.72, 0.38), p.earrings & ~p.long_hair) as patch:
        q = patch.parameters
        away = patch.x.abs() - shape_of(q).wide - 0.025
        drop = ellipse(away, patch.y - 0.20, 0.055, 0.105)
        patch.paint(patch.soft(drop - 0.018), torch.tensor([0.22, 0.12, 0.05]))
        patch.paint(patch.soft(drop), jewel_of(q))
