"""Files of images: finding them, reading them upright as RGB, and their size without decoding."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.common.errors import ConfigurationError, LabelError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_ORIENTATION: Final = 0x0112  # EXIF tag
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})  # its values that swap width and height


def find_images(folder: str | Path) -> list[Path]:
    """List the images of a folder and its sub-folders, sorted by path; hidden files are passed over."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place) / name for name in files if is_image_name(name)]
    return sorted(found)


def is_image_name(name: str) -> bool:
    """Whether a file name has the suffix of an image and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES


def images_at(path: str | Path) -> list[Path]:
    """List the images of a folder, or one file whatever its suffix.

    Raises:
        ConfigurationError: If there is no such path, or no image in it.
    """
    place = Path(path)
    if place.is_file():
        return [place.absolute()]
    if not place.is_dir():
        raise ConfigurationError(f"path {str(path)!r} does not exist; give a folder of images or one file")
    found = [file.absolute() for file in find_images(place)]
    if not found:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ConfigurationError(
            f"path {str(path)!r} holds no image (suffixes {suffixes}); give another folder or a file"
        )
    return found


def image_size(path: str | Path, source: str = "", *, kind: Literal["image", "mask"] = "image") -> tuple[int, int]:
    """Height and width of an upright image, from its header.

    Args:
        path: The file.
        source: List and line for the message.
        kind: What the message calls the file; the orientation of a mask is not looked at, since ``read_mask`` does not.

    Raises:
        LabelError: If the file is absent or is no image.
    """
    try:
        with Image.open(path) as image:
            turned = kind == "image" and _orientation(image) in _QUARTER_TURNS
            return (image.width, image.height) if turned else (image.height, image.width)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise _unreadable(path, source, error, kind) from error


def _orientation(image: Image.Image) -> int | None:
    """EXIF orientation; Pillow would decode a whole PNG in search of a tag behind its pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return None
    return image.getexif().get(_ORIENTATION)


def read_image(path: str | Path, source: str = "") -> NDArray[np.uint8]:
    """Read an image upright (EXIF orientation applied) as RGB.

    Args:
        path: The file; 16-bit grey is scaled to 8 bits by its upper byte.
        source: List and line for the message.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        LabelError: If the file is absent or cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(image.convert("RGB"))
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # SyntaxError: of PNG
        raise _unreadable(path, source, error) from error


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
        with Image.open(path) as image:
            if image.mode in ("L", "P", "1") and not (binary and image.mode == "P"):
                return np.array(image).astype(np.uint8)
            if binary:
                return np.array(image.convert("L"))
            mode = image.mode
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(path, source, error, "mask") from error
    raise LabelError(
        f"{source}: mask {path} has mode {mode}; a mask of class numbers has 8 bits and one channel (0 healthy, v "
        "class v, 255 unknown); save it as grey or palette PNG, or name its class"
    )


def _unreadable(path: str | Path, source: str, error: Exception, kind: str = "image") -> LabelError:
    where = f"{source}: " if source else ""
    if isinstance(error, FileNotFoundError):
        return LabelError(f"{where}there is no {kind} {path}; correct root or the name, or drop the row")
    return LabelError(f"{where}{kind} {path} cannot be read ({error}); replace the file or drop the row")
