"""Reading masks: the value or colour of each pixel as it is stored, of the upright mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.images.unreadable import UNREADABLE, unreadable
from datamodules.images.upright import open_upright

COLOUR: Final = 1 << 24  # a value with this bit is a colour, 0xRRGGBB in the bits below; one without it is a grey value
_LOSSY: Final = frozenset({"JPEG", "MPO"})  # formats that change values; WebP does so in one of its two ways
_OPAQUE: Final = 255


@dataclass(frozen=True)
class StoredMask:
    """The pixels of a mask.

    Attributes:
        shown: What a viewer shows, int32 ``(H, W)``: a grey value, or ``COLOUR`` and the colour; a colour whose
            channels agree is a grey value.
        index: Places in the palette, uint8 ``(H, W)``; None without a palette.
        is_lossy: The format may have changed values.
    """

    shown: NDArray[np.int32]
    index: NDArray[np.uint8] | None
    is_lossy: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.shown.shape[0], self.shown.shape[1]

    @property
    def numbers(self) -> NDArray[np.int32]:
        """What a mask of class numbers holds: places in the palette, else the values, int32 ``(H, W)``."""
        return self.shown if self.index is None else self.index.astype(np.int32)


def read_mask(path: str | Path, source: str) -> StoredMask:
    """Read the pixels of a mask.

    Args:
        path: The file.
        source: List and line for the message.

    Raises:
        LabelError: If the file is absent, cannot be decoded, holds its mask in the transparency, or values that are no
            whole numbers of at most 24 bits.
    """
    try:
        image, image_format = open_upright(path)
    except UNREADABLE as error:
        raise unreadable(path, source, error, "mask") from error
    is_lossy = image_format in _LOSSY or (image_format == "WEBP" and not _is_lossless(path))
    if image.mode == "P":
        return _of_palette(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        if np.asarray(image.getchannel("A")).min(initial=_OPAQUE) < _OPAQUE:
            raise LabelError(
                f"{source}: mask {path} is transparent in places, and transparency is no mask; save it without alpha, "
                "healthy pixels black and defects white"
            )
        image = image.convert("L" if image.mode in ("LA", "La") else "RGB")
    values = np.asarray(image)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return StoredMask(_whole(values, path, source), None, is_lossy)
    return StoredMask(_coded(np.asarray(image.convert("RGB"))), None, is_lossy)


def brightness(shown: NDArray[np.int32]) -> NDArray[np.int32]:
    """Grey value, of a colour its brightest channel: a colour marks by any of them."""
    colour = shown & (COLOUR - 1)
    brightest = np.maximum(np.maximum(colour >> 16, (colour >> 8) & 255), colour & 255)
    return np.where(shown & COLOUR, brightest, shown).astype(np.int32)


def value_name(value: int) -> str:
    """A stored value for messages.

    Example:
        >>> value_name(255), value_name(COLOUR | 0xFF0000)
        ('255', '#ff0000')
    """
    return f"#{value & (COLOUR - 1):06x}" if value & COLOUR else str(value)


def _is_lossless(webp: str | Path) -> bool:
    with Path(webp).open("rb") as stream:
        return b"VP8L" in stream.read(64)


def _of_palette(image: Image.Image) -> StoredMask:
    index = np.asarray(image)
    colours = np.zeros((256, 3), dtype=np.uint8)
    given = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    colours[: len(given)] = given
    return StoredMask(_coded(colours)[index], index, False)


def _coded(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Colours ``(..., 3)`` as numbers."""
    red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
    is_grey = (red == green) & (green == blue)
    coded: NDArray[np.int32] = np.where(is_grey, red, COLOUR | (red << 16) | (green << 8) | blue).astype(np.int32)
    return coded


def _whole(values: NDArray[np.generic], path: str | Path, source: str) -> NDArray[np.int32]:
    wide = np.asarray(values, dtype=np.float64) if values.dtype.kind == "f" else np.asarray(values, dtype=np.int64)
    outside = ~np.isfinite(wide) | (wide < 0) | (wide >= COLOUR) | (wide != np.floor(wide))
    if outside.any():
        raise LabelError(
            f"{source}: mask {path} holds the value {wide[outside][0]:g}; a mask has whole numbers from 0 to "
            f"{COLOUR - 1}; save it with 8 bits"
        )
    return wide.astype(np.int32)
