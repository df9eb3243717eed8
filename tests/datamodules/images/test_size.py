"""Sizes of upright pictures from their headers, and labels that were made for another size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.images.masks import read_mask
from datamodules.images.size import check_label_size, picture_size
from datamodules.images.upright import read_picture

WIDTH, HEIGHT = 40, 30  # as stored


def _stored(path: Path, orientation: int, **options: object) -> Path:
    """A grey ramp with an orientation, in the format of the suffix."""
    pixels = np.tile(np.linspace(0, 200, WIDTH, dtype=np.uint8), (HEIGHT, 1))
    if path.suffix == ".tif":
        options["tiffinfo"] = {274: orientation}
    else:
        exif = Image.Exif()
        exif[274] = orientation
        options["exif"] = exif
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]  # options of the format
    return path


def _late_exif(path: Path) -> Path:
    """The same as a PNG whose orientation follows the pixels."""
    chunks = _stored(path, 6).read_bytes()
    start = chunks.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(chunks[start : start + 4])
    behind = chunks[:start] + chunks[end:]
    place = behind.index(b"IEND") - 4
    path.write_bytes(behind[:place] + chunks[start:end] + behind[place:])
    return path


def test_the_header_gives_the_size_of_the_picture_that_is_read(tmp_path: Path) -> None:
    files = [
        _stored(tmp_path / f"{orientation}{suffix}", orientation)
        for suffix in (".jpg", ".png", ".tif", ".webp")
        for orientation in range(1, 9)
    ]
    files += [_stored(tmp_path / "lzw.tif", 6, compression="tiff_lzw"), _late_exif(tmp_path / "late.png")]
    for file in files:
        assert picture_size(file) == read_picture(file).size, file
        assert picture_size(file, kind="mask") == read_mask(file, "").size[::-1], file
    late, turned = (np.asarray(read_picture(tmp_path / name)) for name in ("late.png", "6.tif"))
    assert late.shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(turned, late)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_labels_are_for_the_upright_picture_or_state_the_size_of_its_header(tmp_path: Path, suffix: str) -> None:
    turned, plain = _stored(tmp_path / f"turned{suffix}", 6), _stored(tmp_path / f"plain{suffix}", 3)
    for stated in ((HEIGHT, WIDTH), (WIDTH, HEIGHT), (0, 0), (0, WIDTH)):
        assert check_label_size(turned, stated, reach=(HEIGHT, WIDTH)) == (HEIGHT, WIDTH)
    assert check_label_size(plain, (WIDTH, HEIGHT)) == (WIDTH, HEIGHT)
    with pytest.raises(LabelError, match=r"a.json, images id 3: the labels are for 30x40 .* has 40x30"):
        check_label_size(plain, (HEIGHT, WIDTH), "a.json, images id 3")
    with pytest.raises(LabelError, match=r"the labels are for 80x60 .* has 30x40"):
        check_label_size(turned, (2 * WIDTH, 2 * HEIGHT))
    with pytest.raises(LabelError, match="drawn before the image was turned"):
        check_label_size(turned, (WIDTH, HEIGHT), reach=(38, 20))
