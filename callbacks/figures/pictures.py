"""Pictures of a run: saved whole or not at all, and sent to every logger that shows pictures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL.Image import Image
from PIL.Image import open as open_image

from datamodules.common.atomic_write import atomic_path
from datamodules.common.errors import one_line

if TYPE_CHECKING:  # an exported network draws and writes without torch
    import lightning as L

log = logging.getLogger(__name__)

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


def write_figure(figure: Figure, path: Path, dpi: int = 150) -> bool:
    """Write a figure as PNG, whole or not at all; its texts are drawn as they stand, so that "$" begins no formula.

    Returns:
        False where it could not be drawn or written, which is said.
    """
    try:
        for text in figure.findobj(Text):
            if text.get_text():  # the numbers at an axis are not there yet, and may be formulas
                text.set_parse_math(False)
                text.set_text("\n".join(map(one_line, text.get_text().split("\n"))))
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=dpi, format="png")
    except Exception as error:  # of fonts, text layout and the disk, which share no class
        _tell(path, error)
        return False
    return True


def title_of(name: str, most: int = 90) -> str:
    """A file's name as a title: in one line, and a very long one without its middle."""
    plain = one_line(name)
    return plain if len(plain) <= most else f"{plain[: most // 2]} ... {plain[-most // 4 :]}"


@contextmanager
def costs_itself(path: Path) -> Iterator[None]:
    """Let a picture that fails cost no more than itself: it is named in the log, and the run goes on."""
    try:
        yield
    except Exception as error:  # of arrays, fonts, encoders and the disk, which share no class
        _tell(path, error)


def _tell(path: Path, error: Exception) -> None:
    reason = " ".join(str(error).split())[:200]
    log.warning("%s is left out: it cannot be made (%s: %s)", one_line(str(path)), type(error).__name__, reason)


def write_image(image: Image, path: Path) -> None:
    """Write an image as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def save_figure(trainer: L.Trainer, figure: Figure, path: Path, name: str, dpi: int = 150) -> None:
    """Write a figure as PNG and log it where pictures are logged."""
    if write_figure(figure, path, dpi):
        send_picture(trainer, name, path)
