"""Draw what is behind and below a face: walls and landscapes, clothes, a tie, a necklace."""

from __future__ import annotations

import torch

from datamodules.faces.renderer.canvas import EVERYWHERE, Canvas, column, ellipse, wave
from datamodules.faces.renderer.colours import hue, jewel_of, skin_of

_GREY = 0.55  # of a background without strength


def paint_background(canvas: Canvas) -> None:
    """A wall with an edge, or sky over trees and grass."""
    p = canvas.parameters
    strength = p.strength[:, 2, None]
    walls = torch.stack([p.varied(f"wall_{name}") for name in ("red", "green", "blue")], 1)
    wall = _GREY + strength * (0.30 + 0.55 * walls - _GREY)
    canvas.image.add_(wall[:, :, None, None])
    with canvas.patch() as patch:
        step = column(strength[:, 0] * (0.10 + 0.18 * p.varied("wall_step")))
        edge = patch.soft(patch.x - column(1.5 * p.spread("wall_edge")))
        fall = column(0.16 * p.spread("gradient") * strength[:, 0]) * patch.y
        patch.image.mul_((1 - step * edge + fall)[:, None])
    with canvas.patch(EVERYWHERE, p.outdoor) as patch:
        q = patch.parameters
        sky = torch.tensor([0.35, 0.62, 0.95]) + 0.12 * torch.stack([q.spread("wall_red")] * 3, 1)
        fade = (0.22 * (patch.y + 1))[:, None] * torch.tensor([1.0, 0.6, 0.1])[:, None, None]
        patch.image.copy_(sky[:, :, None, None] + fade)
        turn = column(q.varied("wall_edge"))
        cloud = ellipse(patch.x - column(1.1 * q.spread("wall_step")), patch.y + 0.72, 0.42, 0.13)
        patch.paint(patch.soft(cloud, 0.1) * 0.85, torch.ones(3))
        level = column(0.05 + 0.3 * q.varied("horizon"))
        trees = level - 0.16 - 0.10 * wave(patch.x * 1.7 + turn)
        leaf = torch.tensor([0.10, 0.36, 0.12]) + 0.15 * torch.stack([q.varied("wall_green")] * 3, 1)
        patch.paint(patch.soft(trees - patch.y), leaf)
        grass = torch.tensor([0.42, 0.66, 0.22]) + 0.12 * torch.stack([q.spread("wall_blue")] * 3, 1)
        patch.paint(patch.soft(level - patch.y), grass)


def paint_clothes(canvas: Canvas) -> None:
    """Neck and shoulders; over them a shirt with a tie where one is worn."""
    p = canvas.parameters
    with canvas.patch((-1.2, 0.2, 1.2, 1.3)) as patch:
        cloth = hue(p, "clothes_hue", 0.45, 0.25 + 0.6 * p.varied("clothes_light"))
        slope = 0.70 + 0.32 * patch.x * patch.x - patch.y
        patch.paint(patch.soft(slope), cloth)
        neck = torch.maximum(patch.x.abs() - 0.23, (patch.y - 0.48).abs() - 0.24)
        collar = torch.minimum(neck, ellipse(patch.x, patch.y - 0.70, 0.29, 0.13))
        patch.paint(patch.soft(collar), skin_of(p) * 0.86)
    with canvas.patch((-0.45, 0.6, 0.45, 1.3), p.necktie) as patch:
        q = patch.parameters
        across, down = patch.x.abs(), patch.y
        shirt = torch.maximum(across - 0.36 + 0.25 * (down - 0.66).clamp(min=0), 0.60 + 0.42 * across - down)
        shirt = torch.maximum(shirt, 0.73 - 0.15 * across - down)
        patch.paint(patch.soft(shirt), torch.tensor([0.94, 0.95, 0.98]))
        knot = torch.maximum(across - 0.085 + 0.15 * (down - 0.74), (down - 0.79).abs() - 0.055)
        blade = torch.maximum(across - 0.03 - 0.32 * (down - 0.80), 0.83 - down)
        tie = hue(q, "tie_hue", 0.05, 0.55)
        patch.paint(patch.soft(blade), tie)
        patch.paint(patch.soft(knot), tie * 0.7)


def paint_necklace(canvas: Canvas) -> None:
    """Beads around the neck."""
    with canvas.patch((-0.3, 0.52, 0.3, 0.76), canvas.parameters.necklace) as patch:
        q = patch.parameters
        line = (patch.y - 0.705 + 1.9 * patch.x * patch.x).abs()
        inside = patch.x.abs() - 0.245
        metal = jewel_of(q)
        patch.paint(patch.soft(torch.maximum(line - 0.045, inside)), torch.tensor([0.25, 0.16, 0.10]))
        beads = 0.029 + 0.008 * wave(patch.x * 11)
        patch.paint(patch.soft(torch.maximum(line - beads, inside)), metal)
