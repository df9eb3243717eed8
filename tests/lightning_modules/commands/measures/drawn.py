"""Drawn faces in folders, and a judge that sees brightness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.labels import labels
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema


def draw_faces(number: int, seed: int, side: int = 32, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Faces of different people, uint8 ``(N, 3, S, S)``, and whether each wears sunglasses, bool ``(N,)``."""
    demo = FaceDemoSettings(
        seed=seed, photos_per_person=1, correlation=0.0, shares={"eyewear": {"sunglasses": share, "eyeglasses": 0.0}}
    )
    parameters = draw_parameters(seed, "train", torch.arange(number), 0, demo)
    schema = AttributeSchema.from_file()
    shown = labels(parameters, schema)[:, schema.index("Sunglasses")] == 1
    return render(parameters, side), shown


def save_faces(folder: Path, pictures: Tensor | Sequence[Tensor], names: Sequence[str] | None = None) -> Path:
    """Pictures as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        file = folder / (f"{number:05d}.png" if names is None else names[number])
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file)
    return folder


def colour_of(pictures: Tensor) -> Tensor:
    """Probability of red and of blue, of one-coloured pictures."""
    red = pictures[:, 0].float().mean(dim=(1, 2)) > pictures[:, 2].float().mean(dim=(1, 2))
    return torch.stack([red, ~red], dim=1).float()


def coloured(number: int, red: Tensor, seed: int = 0) -> Tensor:
    """Noise in red or blue, uint8 ``(N, 3, 16, 16)``."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 120, (number, 3, 16, 16), generator=generator, dtype=torch.uint8)
    pictures[red, 0] += 120
    pictures[~red, 2] += 120
    return pictures
