"""Draw what is in the face: skin marks, eyes, brows, nose, mouth, moustache."""

from __future__ import annotations

import torch

from datamodules.faces.renderer.canvas import Canvas, Patch, column, ellipse, pick, segment
from datamodules.faces.renderer.colours import eye_shadow_of, hair_of, iris_of, lips_of, skin_of
from datamodules.faces.renderer.parameters import FaceParameters

EYE_X, EYE_Y = 0.205, -0.085


def paint_skin(canvas: Canvas) -> None:
    """Flush, blush, cheekbones, lines, chin and shine."""
    p = canvas.parameters
    with canvas.patch((-0.65, -0.75, 0.65, 0.6), p.flushed) as patch:
        patch.tint(patch.soft(patch.head + 0.01) * 0.85, torch.tensor([1.12, 0.62, 0.60]))
    with canvas.patch((-0.5, -0.05, 0.5, 0.35), p.rosy) as patch:
        cheek = ellipse(patch.u.abs() - 0.31, patch.y - 0.13, 0.12, 0.095)
        patch.paint(patch.soft(cheek, 0.06) * 0.7, torch.tensor([0.93, 0.14, 0.34]))
    with canvas.patch((-0.55, -0.1, 0.55, 0.4), p.high_cheekbones) as patch:
        away = patch.u.abs()
        shade = segment(away, patch.y, (0.48, 0.07), (0.30, 0.25)) - 0.036
        patch.tint(patch.soft(shade), torch.tensor([0.48, 0.38, 0.36]))
    with canvas.patch((-0.5, 0.2, 0.5, 0.55), p.chubby) as patch:
        crease = segment(patch.u.abs(), patch.y, (0.43, 0.27), (0.35, 0.42)) - 0.024
        crease = torch.maximum(crease, patch.head + 0.02)
        patch.tint(patch.soft(crease), torch.tensor([0.45, 0.36, 0.34]))
    with canvas.patch((-0.35, 0.0, 0.35, 0.4), p.nose_mouth_lines) as patch:
        line = segment(patch.u.abs(), patch.y, (0.185, 0.10), (0.285, 0.31)) - 0.020
        patch.tint(patch.soft(line), torch.tensor([0.45, 0.36, 0.34]))
    _paint_chin(canvas)
    with canvas.patch((-0.4, -0.5, 0.4, 0.3), p.shiny) as patch:
        shine = torch.minimum(
            ellipse(patch.u, patch.y + 0.40, 0.18, 0.06), ellipse(patch.u.abs() - 0.32, patch.y - 0.04, 0.085, 0.06)
        )
        patch.paint(patch.soft(shine, 0.04) * 0.95, torch.ones(3))


def _paint_chin(canvas: Canvas) -> None:
    """The crease around a round jaw, or the cleft of an angular one."""
    p = canvas.parameters
    with canvas.patch((-0.3, 0.35, 0.3, 0.65), p.is_("beard", "none")) as patch:
        q = patch.parameters
        arc = torch.maximum((patch.head + 0.055).abs() - 0.022, torch.maximum(0.40 - patch.y, patch.u.abs() - 0.28))
        cleft = torch.maximum(patch.u.abs() - 0.026, torch.maximum((patch.head + 0.06).abs() - 0.05, 0.40 - patch.y))
        mark = torch.where(column(q.round_jaw), arc, cleft)
        patch.tint(patch.soft(mark), torch.tensor([0.55, 0.45, 0.43]))


def paint_eyes(canvas: Canvas) -> None:
    """Make-up, bags, eyes and brows."""
    p = canvas.parameters
    with canvas.patch((-0.42, -0.26, 0.42, 0.1), p.makeup) as patch:
        away = patch.u.abs()
        lid = torch.maximum(ellipse(away - EYE_X - 0.02, patch.y - EYE_Y + 0.02, 0.175, 0.115), patch.y - EYE_Y - 0.02)
        patch.paint(patch.soft(lid) * 0.85, eye_shadow_of(patch.parameters))
        wing = segment(away, patch.y, (0.30, -0.09), (0.40, -0.16)) - 0.02
        patch.paint(patch.soft(wing), torch.tensor([0.05, 0.03, 0.05]))
    with canvas.patch((-0.4, -0.1, 0.4, 0.15), p.bags) as patch:
        away = patch.u.abs() - EYE_X
        bag = (patch.y - 0.047 + 3.2 * away * away).abs() - 0.028
        patch.tint(patch.soft(torch.maximum(bag, away.abs() - 0.125)), torch.tensor([0.55, 0.42, 0.50]))
    with canvas.patch((-0.4, -0.2, 0.4, 0.03)) as patch:
        _paint_eyeballs(patch, p)
    with canvas.patch((-0.45, -0.45, 0.45, -0.15)) as patch:
        _paint_brows(patch, p)


def _paint_eyeballs(patch: Patch, p: FaceParameters) -> None:
    away, y = patch.u.abs() - EYE_X, patch.y - EYE_Y
    side = torch.where(patch.u < 0, -1.0, 1.0)
    half = torch.where(column(p.eyes_open), pick(p.narrow_eyes, 0.034, 0.080), torch.full((1, 1, 1), 0.034))
    open_ = column(p.eyes_open.float())
    ball = ellipse(away, y, 0.135, half)
    seen = patch.soft(ball) * open_
    patch.paint(patch.soft(ball - 0.024) * open_, torch.tensor([0.08, 0.05, 0.05]))
    patch.paint(seen, torch.tensor([0.97, 0.97, 0.96]))
    look = away * side - column(0.03 * p.spread("yaw"))
    radius = (look * look + y * y).sqrt()
    patch.paint(seen * patch.soft(radius - 0.072), iris_of(p))
    patch.paint(seen * patch.soft(radius - 0.028), torch.tensor([0.02, 0.02, 0.02]))
    lash = torch.maximum((y - 0.035 + 2.2 * away * away).abs() - 0.020, away.abs() - 0.135)
    patch.paint(patch.soft(lash) * (1 - open_), torch.tensor([0.10, 0.06, 0.06]))


def _paint_brows(patch: Patch, p: FaceParameters) -> None:
    away = patch.u.abs() - 0.21
    frown = pick(p.is_("expression", "frown"), -0.25, 0.0)
    bend = pick(p.arched_brows, 4.6, 0.0)
    middle = pick(p.arched_brows, -0.285, -0.235) + bend * away * away + frown * away
    half = pick(p.bushy_brows, 0.048, 0.017) * (1 - 2.2 * away.clamp(min=0))
    brow = torch.maximum((patch.y - middle).abs() - half, away.abs() - 0.15)
    patch.paint(patch.soft(brow), hair_of(p) * 0.55)


def paint_nose(canvas: Canvas) -> None:
    """Bridge, wings and nostrils; pointed or round below."""
    p = canvas.parameters
    with canvas.patch((-0.22, -0.15, 0.22, 0.24)) as patch:
        away, y = patch.u.abs(), patch.y
        skin = skin_of(p)
        wide = pick(p.big_nose, 0.175, 0.070)
        base = 0.115 + column(0.01 * p.spread("nose_length"))
        sharp = column(p.pointy_nose)
        side = (away - 0.03 - (wide - 0.05) * ((y + 0.12) / 0.24).clamp(0, 1).square()).abs() - 0.012
        bridge = torch.maximum(side, torch.maximum(-0.08 - y, y - base + 0.03))
        patch.tint(patch.soft(bridge) * 0.55, torch.tensor([0.60, 0.50, 0.46]))
        ridge = torch.maximum(away - 0.022, torch.maximum(-0.10 - y, y - base - 0.02))
        patch.paint(patch.soft(ridge) * pick(p.pointy_nose, 0.75, 0.0), skin * 0.25 + 0.75)
        point = (y - base - 0.075 + away * (0.075 / 0.06)).abs() - 0.026
        point = torch.maximum(point, away - wide)
        rounded = (((away / wide).square() + ((y - base + 0.045) / 0.085).square()).sqrt() - 1).abs() * 0.075 - 0.020
        rounded = torch.maximum(rounded, base - 0.045 - y)
        patch.paint(patch.soft(torch.where(sharp, point, rounded)), skin * 0.42)
        nostril = ellipse(away - 0.55 * wide, y - base, 0.026, 0.022)
        patch.paint(patch.soft(nostril), skin * 0.25)


def paint_mouth(canvas: Canvas) -> None:
    """Lips, what is between them, and a moustache above."""
    p = canvas.parameters
    with canvas.patch((-0.3, 0.1, 0.3, 0.6)) as patch:
        y = patch.y
        open_ = torch.tensor([0.0, 0.036, 0.074])[p.mouth]
        lip = torch.where(p.big_lips, 0.076, 0.024)
        middle = column(0.235 + 0.012 * p.spread("mouth_height") + open_ + lip)
        bend = column(torch.tensor([0.12, 0.0, -0.14])[p.expression])
        half = column(torch.tensor([0.20, 0.18, 0.225])[p.expression])
        across = (patch.u / half).square().clamp(max=1.5)
        line = middle + bend * (across - 0.3)
        taper = (1 - across).clamp(min=0)
        inner, outer = column(open_) * taper, column(lip) * (0.25 + 0.75 * taper)
        away = (y - line).abs()
        ends = patch.u.abs() - half
        lips = torch.maximum(away - inner - outer, ends)
        patch.paint(patch.soft(lips - 0.010), skin_of(p) * 0.45)
        patch.paint(patch.soft(lips + 0.006), lips_of(p))
        gap = torch.maximum(away - inner, ends + 0.02)
        patch.paint(patch.soft(gap) * column((open_ > 0).float()), torch.tensor([0.16, 0.03, 0.04]))
        white = torch.maximum(gap + 0.004, y - line + inner * pick(p.is_("mouth", "wide"), 0.15, -0.55))
        patch.paint(patch.soft(white) * column(p.teeth.float()), torch.tensor([0.98, 0.98, 0.96]))
        seam = torch.maximum(away - 0.013, ends + 0.01)
        patch.paint(patch.soft(seam) * column((open_ == 0).float()), torch.tensor([0.22, 0.06, 0.07]))
        _paint_mustache(patch)


def _paint_mustache(patch: Patch) -> None:
    p = patch.parameters
    away = patch.u.abs()
    hair = hair_of(p) * 0.7
    top = 0.182 + 0.35 * (away - 0.06).clamp(min=0)
    area = torch.maximum((patch.y - top - 0.030).abs() - 0.048, away - 0.225)
    cover = patch.soft(area) * column((p.mustache & ~p.is_("beard", "full")).float())
    patch.paint(cover, hair)
