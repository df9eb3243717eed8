"""Reading masks: the value of each pixel as it is stored, of the upright mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import LabelError
from datamodules.images.unreadable import UNREADABLE, unreadable
from datamodules.images.upright import open_upright


def read_mask(path: str | Path, source: str, *, binary: bool) -> NDArray[np.uint8]:
    """Read the pixel values of a mask.

    Args:
        path: The file.
        source: List and line for the message.
        binary: Colours are allowed and turned into grey; otherwise the values are class numbers and must be plain.

    Returns:
        uint8 ``(H, W)``.

    Raises:
        LabelError: If the file is absent, cannot be decoded, or has colours where class numbers are wanted.
    """
    try:
        image = open_upright(path)
        if image.mode in ("L", "P", "1") and not (binary and image.mode == "P"):
            return np.array(image).astype(np.uint8)
        if binary:
            return np.array(image.convert("L"))
        mode = image.mode
    except UNREADABLE as error:
        raise unreadable(path, source, error, "mask") from error
    raise LabelError(
        f"{source}: mask {path} has mode {mode}; a mask of class numbers has 8 bits and one channel (0 healthy, v "
        "class v, 255 unknown); save it as grey or palette PNG, or name its class"
    )
