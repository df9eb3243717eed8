"""Pictures that are cut off, damaged, or no files at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.images.masks import read_mask
from datamodules.images.size import picture_size
from datamodules.images.unreadable import UnreadablePictureError
from datamodules.images.upright import read_picture
from datamodules.images.whole import broken_picture

SUFFIXES = (".png", ".jpg", ".gif", ".webp", ".bmp", ".ppm", ".tif")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_that_is_cut_off_is_told_by_its_ends(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    assert broken_picture(path) is None
    for share in (0.3, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        assert "cannot be read" in str(broken_picture(path, "list, line 2"))
    path.write_bytes(content + b"\0" * 500)  # as cameras write more after the end
    assert broken_picture(path) is None


def test_no_picture_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", Path("/dev/zero"), tmp_path):
        for read in (read_picture, picture_size, lambda one: read_mask(one, "list, line 2")):
            with pytest.raises(UnreadablePictureError, match="no regular file"):
                read(path)


def test_any_damage_is_the_one_error(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
        content = bytearray(path.read_bytes())
        for _ in range(40):
            damaged = content.copy()
            for place in generator.integers(0, min(len(content), 200), 3):
                damaged[place] = generator.integers(0, 256)
            path.write_bytes(damaged)
            for read in (read_picture, picture_size):
                with suppress(UnreadablePictureError):
                    read(path)
