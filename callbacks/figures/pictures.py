"""Pictures of a run: saved whole or not at all, and sent to every logger that shows pictures."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.figure import Figure
from PIL.Image import Image
from PIL.Image import open as open_image

from datamodules.common.atomic_write import atomic_path

if TYPE_CHECKING:  # an exported network draws and writes without torch
    import lightning as L

MOST = 32  # pictures of one name that are all sent
MOST_BYTES = 1_000_000  # of one picture
_sent: WeakKeyDictionary[L.Trainer, Counter[str]] = WeakKeyDictionary()


def send_picture(trainer: L.Trainer, name: str, saved: Path) -> None:
    """Log a PNG to every logger that shows pictures, W&B and TensorBoard.

    A training of any length stays within bounds: of the pictures of one name the first 32 are sent, then the 64th, the
    128th and so on, and one of more than 1 MB goes at half its size until it is none. The file itself stays whole.
    """
    from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

    loggers = [one for one in trainer.loggers if isinstance(one, TensorBoardLogger | WandbLogger)]
    if not loggers:
        return
    counter = _sent.setdefault(trainer, Counter())
    counter[name] += 1
    number = counter[name]
    if number > MOST and number & (number - 1):
        return
    picture = within_bytes(saved)
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, np.asarray(picture), trainer.global_step, dataformats="HWC")
        else:
            logger.log_image(name, [picture])


def within_bytes(saved: Path, most: int = MOST_BYTES) -> Image:
    """A PNG as RGB, halved until it takes so many bytes at most."""
    with open_image(saved) as opened:
        picture = opened.convert("RGB")
    size = saved.stat().st_size
    while size > most and min(picture.size) > 1:
        picture = picture.reduce(2)
        held = BytesIO()
        picture.save(held, format="PNG")
        size = held.tell()
    return picture


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
