"""The size of an upright picture, from its header, and whether it is the one that labels were made for."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, NamedTuple

from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.images.chunks import png_chunk
from datamodules.images.unreadable import UNREADABLE, check_regular, unreadable

_ORIENTATION: Final = 0x0112  # EXIF tag
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})  # its values that swap width and height
_STICKS_OUT: Final = 1.0  # pixels that a label may lie outside: rounding of shares


class PictureSize(NamedTuple):
    """Sizes of one file, from its header.

    Attributes:
        upright: Width and height in pixels of the picture as viewers show it.
        stored: Width and height before its orientation is applied; the same but for quarter turns.
    """

    upright: tuple[int, int]
    stored: tuple[int, int]


def picture_size(path: str | Path, source: str = "", *, kind: Literal["image", "mask"] = "image") -> tuple[int, int]:
    """Width and height in pixels of the upright picture.

    Args:
        path: The file.
        source: List and line for the message.
        kind: What the message calls the file.

    Raises:
        UnreadablePictureError: If the file is absent or is no picture.
    """
    return sizes_of_picture(path, source, kind=kind).upright


def sizes_of_picture(path: str | Path, source: str = "", *, kind: Literal["image", "mask"] = "image") -> PictureSize:
    """Sizes upright and as stored, see `picture_size`.

    Raises:
        UnreadablePictureError: If the file is absent or is no picture.
    """
    try:
        check_regular(path)
        with Image.open(path) as image:
            shown = (image.width, image.height)
            if _orientation(image, path) not in _QUARTER_TURNS:
                return PictureSize(shown, shown)
            turned = shown[::-1]
            # Pillow turns a TIFF by itself, the size that it gives first too
            return PictureSize(shown, turned) if image.format == "TIFF" else PictureSize(turned, shown)
    except UNREADABLE as error:
        raise unreadable(path, source, error, kind) from error


def check_label_size(
    path: str | Path, stated: tuple[int, int], source: str = "", *, reach: tuple[float, float] = (0.0, 0.0)
) -> tuple[int, int]:
    """Hold the size that labels were made for against the upright file.

    Labels lie in the upright picture: labelling tools show it upright. Several of them nevertheless write the width
    and height of the file's header, so that these are accepted too, of a photo that an orientation turns by a quarter,
    and the labels are still taken as upright. That a label does not fit into the upright picture, but into the stored
    one, is an error: whoever drew it saw the picture unturned, and labels that happen to fit into both would be lost
    without a word if each were turned or not by where it lies.

    Args:
        path: The image.
        stated: Width and height that the label source gives; 0 where it does not say.
        source: List and entry for the message.
        reach: Largest x and largest y of the labels in pixels; labels in shares of the sides have none.

    Returns:
        Width and height of the upright picture, which shares of the sides are to be multiplied by.

    Raises:
        UnreadablePictureError: If the file is absent or is no picture.
        LabelError: If the labels are for a picture of another size; the message names both sizes.
    """
    upright, stored = sizes_of_picture(path, source)
    asked = (stated[0] or upright[0], stated[1] or upright[1])
    where = f"{source}: " if source else ""
    if asked not in (upright, stored):
        raise LabelError(
            f"{where}the labels are for {asked[0]}x{asked[1]} pixels but the upright image {path} has "
            f"{upright[0]}x{upright[1]}; give the images that were labelled, or export the labels for these"
        )
    if stored != upright and _fits(reach, stored) and not _fits(reach, upright):
        raise LabelError(
            f"{where}a label reaches to {reach[0]:g},{reach[1]:g}, outside the upright image {path} of "
            f"{upright[0]}x{upright[1]} but inside its stored {stored[0]}x{stored[1]}: it was drawn before the image "
            "was turned by its orientation; export labels of the upright image, or remove the orientation of the file"
        )
    return upright


def _fits(reach: tuple[float, float], size: tuple[int, int]) -> bool:
    return all(far <= side + _STICKS_OUT for far, side in zip(reach, size, strict=True))


def _orientation(image: Image.Image, path: str | Path) -> int | None:
    """Orientation of EXIF or XMP; Pillow would decode a whole PNG in search of a tag behind its pixels."""
    if image.format == "PNG" and ("exif" in image.info or png_chunk(path, b"eXIf") is None):
        return Image.Image.getexif(image).get(_ORIENTATION)  # PngImageFile's own decodes
    return image.getexif().get(_ORIENTATION)


def is_upright(path: str | Path) -> bool:
    """Whether a picture is shown as it is stored, by viewers that look at its orientation and by those that do not.

    Raises:
        UnreadablePictureError: If the file is absent or is no picture.
    """
    try:
        check_regular(path)
        with Image.open(path) as image:
            return _orientation(image, path) in (None, 1)
    except UNREADABLE as error:
        raise unreadable(path, "", error) from error
