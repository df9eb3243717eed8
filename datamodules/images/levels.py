"""Pictures of more than 8 bits: their values, the value of white, and the way to 8 bits.

A camera of 12 bits writes values up to 4095 into files of 16; taken as 16 bits they are 16 grey levels. The value of
white is what the file's metadata say, else what a user says, else the next full range above the brightest picture.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from datamodules.images.chunks import png_chunk

FULL_RANGE: Final = 65535.0
# full ranges of 8, 10, 12, 14, 16, 24 and 32 bits, and of floats
_INTEGER_RANGES: Final = (255.0, 1023.0, 4095.0, 16383.0, FULL_RANGE, 2.0**24 - 1, 2.0**31 - 1, 2.0**32 - 1)
_FLOAT_RANGES: Final = (1.0, *_INTEGER_RANGES)
_BITS, _LARGEST, _WHITE_OF_SAMPLES, _WHITE_OF_DNG = 258, 281, 341, 50717  # tags of TIFF
_BYTE: Final = 255
_DEEP_COLOURS: Final = re.compile(r";16[BLN]\b")  # how Pillow names colours of 16 bits; BGR;16 of BMP are 16 in all


@dataclass(frozen=True)
class Levels:
    """What the values of one picture of more than 8 bits are.

    Attributes:
        highest: Brightest value; 0 where there is none.
        lowest: Darkest value.
        stated: White as the file's metadata say; None where they do not.
        is_float: The values are floats.
        has_gaps: Some values are no numbers.
    """

    highest: float
    lowest: float
    stated: float | None
    is_float: bool
    has_gaps: bool


def is_deep(image: Image.Image) -> bool:
    """Whether an opened picture that was not decoded yet has more than 8 bits a channel."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return True
    return any(_DEEP_COLOURS.search(str(tile.args)) for tile in getattr(image, "tile", ()))


def deep_values(image: Image.Image, path: str | Path) -> NDArray[np.generic]:
    """Values ``(H, W)`` or ``(H, W, 3)`` of a decoded grey picture, or of a colour picture read anew.

    Pillow keeps the upper 8 bits of colours alone, so that these are read by FFmpeg, before any orientation; kinds that
    it does not know (four inks) keep their upper 8 bits.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.asarray(image)
        if image.mode == "I" and image.format == "TIFF" and values.min(initial=0) < 0 and not _is_signed(image):
            return values.view(np.uint32)
        return values
    colours = _colour_values(Path(path))
    return colours if colours is not None else np.asarray(image.convert("RGB")).astype(np.uint16) * 257


def levels_of(image: Image.Image, values: NDArray[np.generic], path: str | Path) -> Levels:
    """Measure the values of a picture and read its metadata."""
    is_float = values.dtype.kind == "f"
    finite = values[np.isfinite(values)] if is_float else values
    highest = float(finite.max()) if finite.size else 0.0
    lowest = float(finite.min()) if finite.size else 0.0
    stated = _stated_white(image, path, highest)
    fits = stated is not None and math.isfinite(stated) and stated > 0 and highest <= stated
    return Levels(highest, lowest, stated if fits else None, is_float, finite.size < values.size)


def next_range(highest: float, *, is_float: bool) -> float:
    """The smallest full range that holds a value.

    Example:
        >>> next_range(3000, is_float=False), next_range(0.98, is_float=True), next_range(70, is_float=False)
        (4095.0, 1.0, 255.0)
    """
    ranges = _FLOAT_RANGES if is_float else _INTEGER_RANGES
    return next((white for white in ranges if highest <= white * (1 + 1e-6)), highest)


def white_of(levels: Sequence[Levels]) -> float:
    """White of a set of pictures: what all their metadata say, else the next full range above the brightest."""
    stated = {one.stated for one in levels if one.stated is not None}
    if stated and all(one.stated is not None for one in levels):
        return max(stated)
    guess = next_range(max(one.highest for one in levels), is_float=any(one.is_float for one in levels))
    return max(guess, *stated) if stated else guess


def to_bytes(values: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    """Values as uint8, ``white`` as 255; of full ranges of whole numbers the upper 8 bits. What is no number is black.

    Example:
        >>> to_bytes(np.array([0, 16, 4095, 5000], dtype=np.uint16), 4095.0).tolist()
        [0, 1, 255, 255]
        >>> to_bytes(np.array([0.5, 1.0, np.nan, -1.0], dtype=np.float32), 1.0).tolist()
        [128, 255, 0, 0]
    """
    if values.dtype.kind == "f":
        scaled = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=white, neginf=0.0) * (_BYTE / white)
        return (scaled + 0.5).clip(0, _BYTE).astype(np.uint8)
    upper = values.astype(np.int64) * (_BYTE + 1) // int(white + 1)
    return upper.clip(0, _BYTE).astype(np.uint8)


def _stated_white(image: Image.Image, path: str | Path, highest: float) -> float | None:
    if image.format == "PPM":
        return FULL_RANGE  # Pillow stretches to it whatever the file's maximum
    if image.format == "PNG":
        return _of_significant_bits(path, highest)
    tags: Mapping[int, object] = getattr(image, "tag_v2", {})
    for tag in (_WHITE_OF_DNG, _WHITE_OF_SAMPLES):
        value = _number(tags.get(tag))
        if value is not None:
            return value
    bits = _number(tags.get(_BITS))
    if bits is not None and bits not in (8, 16, 32, 64):
        return float(2**bits - 1)
    largest = _number(tags.get(_LARGEST))
    return largest if largest in _INTEGER_RANGES else None  # any other number is the picture's own brightest value


def _of_significant_bits(path: str | Path, highest: float) -> float | None:
    """White by sBIT of a PNG; the standard has values stretched to all 16 bits, and cameras write them as they are."""
    chunk = png_chunk(path, b"sBIT")
    if not chunk or max(chunk) >= 16:
        return None
    own = 2.0 ** max(chunk) - 1
    return own if highest <= own else FULL_RANGE


def _number(value: object) -> float | None:
    one = max(value) if isinstance(value, tuple) and value else value
    return float(one) if isinstance(one, (int, float, TiffImagePlugin.IFDRational)) else None


def _is_signed(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return _number(tags.get(339)) == 2


def _colour_values(path: Path) -> NDArray[np.generic] | None:
    import av  # colours of more than 8 bits are rare

    try:
        with av.open(io.BytesIO(path.read_bytes()), mode="r") as container:
            frame = next(container.decode(video=0))
            if frame.format.name.startswith("ya16"):
                frame = frame.reformat(format="gray16le")
            values: NDArray[np.generic] = frame.to_ndarray()
    except (av.FFmpegError, StopIteration, ValueError):
        return None
    return values[..., :3] if values.ndim == 3 else values
