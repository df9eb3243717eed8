"""Pictures of more than 8 bits: every kind of file keeps its grey levels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.images.levels import Levels, white_of
from datamodules.images.upright import picture_levels, read_picture

RAMP = np.linspace(0, 1, 64 * 48).reshape(48, 64)


def png(path: Path, values: NDArray[np.uint16], significant_bits: int | None = None) -> Path:
    """A PNG of 16 bits: grey ``(H, W)``, or with 2, 3 or 4 channels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    channels = 1 if values.ndim == 2 else values.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    bits = chunk(b"sBIT", bytes([significant_bits] * channels)) if significant_bits else b""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + bits + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def scaled(white: float, kind: str) -> NDArray[np.generic]:
    return (RAMP * white).astype(kind)


def tiff(path: Path, values: NDArray[np.generic], tags: dict[int, object] | None = None) -> Path:
    Image.fromarray(values).save(path, tiffinfo=tags or {})
    return path


def test_every_depth_keeps_its_grey_levels(tmp_path: Path) -> None:
    files = {
        tiff(tmp_path / "10.tif", scaled(1023, "uint16")): 1023,
        tiff(tmp_path / "12.tif", scaled(4095, "uint16")): 4095,
        tiff(tmp_path / "14.tif", scaled(16000, "uint16")): 16383,
        tiff(tmp_path / "16.tif", scaled(65535, "uint16")): 65535,
        tiff(tmp_path / "8 in 16.tif", scaled(255, "uint16")): 255,
        tiff(tmp_path / "int.tif", scaled(4000, "int32")): 4095,
        tiff(tmp_path / "one.tif", scaled(1, "float32")): 1,
        tiff(tmp_path / "float.tif", scaled(255, "float32")): 255,
        tiff(tmp_path / "float16.tif", scaled(60000, "float32")): 65535,
        tiff(tmp_path / "stated.tif", scaled(2000, "uint16"), {341: 4095}): 4095,
        tiff(tmp_path / "brightest.tif", scaled(2000, "uint16"), {281: 2000}): 4095,
        png(tmp_path / "12.png", scaled(4095, "uint16").astype(np.uint16)): 4095,
        png(tmp_path / "right.png", scaled(1000, "uint16").astype(np.uint16), 12): 4095,
        png(tmp_path / "left.png", scaled(65520, "uint16").astype(np.uint16), 12): 65535,
    }
    for channels in (2, 3, 4):
        values = np.stack([scaled(4095, "uint16").astype(np.uint16)] * channels, axis=2)
        files[png(tmp_path / f"{channels}.png", values)] = 4095
    for file, white in files.items():
        found = picture_levels(file)
        assert found is not None, file
        assert white_of([found]) == white, file
        read = np.asarray(read_picture(file, transparent="ignored", white_level=white))
        assert len(np.unique(read)) >= (120 if "brightest" in file.name or "stated" in file.name else 60), file
        np.testing.assert_allclose(read[:, :, 0], RAMP * found.highest / white * 255, atol=1.1, err_msg=str(file))


def test_white_of_a_set() -> None:
    def one(highest: float, stated: float | None = None) -> Levels:
        return Levels(highest, 0.0, stated, False, False)

    assert white_of([one(900), one(3000)]) == 4095
    assert white_of([one(900, 4095.0), one(3000, 4095.0)]) == 4095
    assert white_of([one(900, 1023.0), one(3000)]) == 4095


def test_odd_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = scaled(1, "float32")
    values[0, 0], values[0, 1] = np.nan, -1
    found = picture_levels(tiff(tmp_path / "nan.tif", values))
    assert found is not None
    assert (found.has_gaps, found.lowest, found.highest) == (True, -1, 1)
    assert np.asarray(read_picture(tmp_path / "nan.tif"))[0, :2, 0].tolist() == [0, 0]
    large = np.full((4, 4), 3_000_000_000, dtype=np.uint32)
    unsigned = Image.fromarray(large.view(np.int32))
    unsigned.save(tmp_path / "unsigned.tif", tiffinfo={339: 1})
    assert picture_levels(tmp_path / "unsigned.tif") is not None
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "8.png")
    assert picture_levels(tmp_path / "8.png") is None


def test_a_turned_picture_of_16_bits_in_colour_is_upright(tmp_path: Path) -> None:
    values = np.stack([scaled(65535, "uint16").astype(np.uint16)] * 3, axis=2)
    file = png(tmp_path / "a.png", values)
    exif = Image.Exif()
    exif[274] = 6
    content = file.read_bytes()
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    file.write_bytes(content[:33] + chunk + content[33:])
    read = np.asarray(read_picture(file))
    assert read.shape == (64, 48, 3)
    np.testing.assert_array_equal(read[:, :, 0], np.rot90(values[:, :, 0] >> 8, -1))


def test_a_bitmap_of_five_and_six_bits_a_colour_is_none_of_16(tmp_path: Path) -> None:
    head = b"BM" + struct.pack("<IHHI", 70 + 16, 0, 0, 70)
    info = struct.pack("<IiiHHIIiiII", 56, 4, 2, 1, 16, 3, 16, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xF800, 0x07E0, 0x001F, 0)
    (tmp_path / "a.bmp").write_bytes(head + info + masks + struct.pack("<8H", *[0xF800] * 8))
    assert picture_levels(tmp_path / "a.bmp") is None
    assert read_picture(tmp_path / "a.bmp").getpixel((0, 0)) == (255, 0, 0)
