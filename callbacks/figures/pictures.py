"""Pictures of a run: saved whole or not at all, and sent to every logger that shows pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL.Image import Image

from datamodules.common.atomic_write import atomic_path

if TYPE_CHECKING:  # an exported network draws and writes without torch
    import lightning as L


def send_picture(trainer: L.Trainer, name: str, saved: Path) -> None:
    """Log a PNG to every logger that shows pictures."""
    from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            pixels = np.rint(imread(saved)[..., :3] * 255).astype(np.uint8)
            logger.experiment.add_image(name, pixels, trainer.global_step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [str(saved)])


def write_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")


def write_image(image: Image, path: Path) -> None:
    """Write an image as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def save_figure(trainer: L.Trainer, figure: Figure, path: Path, name: str, dpi: int = 150) -> None:
    """Write a figure as PNG and log it where pictures are logged."""
    write_figure(figure, path, dpi)
    send_picture(trainer, name, path)
