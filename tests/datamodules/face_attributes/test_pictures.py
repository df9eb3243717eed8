"""Pictures of any kind read as RGB, faces cut square from them, and augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.common.errors import ImageError
from datamodules.common.seeded_draws import row_draws
from datamodules.face_attributes.augmentation import DRAWS, FaceAugmentation, augment
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.images.size import picture_size
from datamodules.images.upright import read_picture

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def _saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_grey_palette_and_sixteen_bits_are_rgb(tmp_path: Path) -> None:
    grey = np.repeat(RAMP[:, :, None], 3, axis=2)
    files = {
        "grey.png": Image.fromarray(RAMP),
        "palette.png": Image.fromarray(RAMP).convert("P"),
        "sixteen.png": Image.fromarray(RAMP.astype(np.uint16) * 256 + 7),
        "sixteen.tif": Image.fromarray(RAMP.astype(np.uint16) * 256 + 7),
        "float.tif": Image.fromarray(RAMP.astype(np.float32)),
    }
    for name, image in files.items():
        read = read_picture(_saved(tmp_path / name, image))
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), grey, err_msg=name)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[:2] = (255, 0, 0, 255)
    pixels[2] = (0, 0, 0, 128)
    read = np.asarray(read_picture(_saved(tmp_path / "alpha.png", Image.fromarray(pixels))))
    np.testing.assert_array_equal(read[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(read[2, 0], [127, 127, 127])
    np.testing.assert_array_equal(read[3, 0], [255, 255, 255])
    cut_out = Image.fromarray(RAMP).convert("P")
    cut_out.save(tmp_path / "palette.png", transparency=0)
    assert np.asarray(read_picture(tmp_path / "palette.png"))[0, 0].tolist() == [255, 255, 255]
    grey_alpha = Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (16, 16), 0)])
    assert (np.asarray(read_picture(_saved(tmp_path / "la.png", grey_alpha))) == 255).all()


def test_four_inks(tmp_path: Path) -> None:
    path = _saved(tmp_path / "print.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    red = np.asarray(read_picture(path))[4, 4].astype(int)
    assert red[0] > 200
    assert max(red[1:]) < 60


def test_a_turned_photo_is_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.repeat(RAMP, 2, axis=0)[:, :, None], 3, axis=2))  # 16 wide, 32 high
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise
    path = _saved(tmp_path / "turned.png", image, exif=exif)
    assert picture_size(path) == (32, 16)
    read = read_picture(path)
    assert read.size == (32, 16)
    np.testing.assert_array_equal(np.asarray(read), np.rot90(np.asarray(image), -1))


def test_unreadable_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"list\.csv, line 3: there is no image .*gone\.jpg"):
        read_picture(tmp_path / "gone.jpg", "list.csv, line 3")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.jpg cannot be read"):
        read_picture(tmp_path / "text.jpg")
    whole = _saved(
        tmp_path / "whole.jpg", Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    )
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(ImageError, match=r"half\.jpg cannot be read"):
        read_picture(tmp_path / "half.jpg")


# Crops


def test_a_crop_is_the_box_and_its_margin() -> None:
    pixels = np.zeros((100, 100, 3), dtype=np.uint8)
    pixels[40:60, 30:50] = 255
    image = Image.fromarray(pixels)
    assert (cut_face(image, square_of((30, 40, 50, 60), image.size, 0.0), 20) == 255).all()
    wide = cut_face(image, square_of((30, 40, 50, 60), image.size, 0.5), 40)
    assert wide.shape == (3, 40, 40)
    assert (wide[:, 12:28, 12:28] == 255).all()
    assert (wide[:, :8] == 0).all()


def test_a_tall_box_is_cut_square_in_its_middle() -> None:
    square = square_of((40, 20, 60, 80), (100, 100), 0.1)
    assert (square.left, square.top, square.side) == pytest.approx((14, 14, 72))


def test_beyond_the_picture_the_border_goes_on() -> None:
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[:, :10] = 200
    crop = cut_face(Image.fromarray(pixels), square_of((0, 0, 20, 20), (20, 20), 0.5), 40)
    assert (crop[:, :, :19] == 200).all()
    assert (crop[:, :, 21:] == 0).all()


def test_a_picture_without_box_is_taken_in_its_middle() -> None:
    square = square_of([float("nan")] * 4, (178, 218), 0.3)
    assert (square.left, square.top, square.side) == (0, 20, 178)


def test_shrinking_is_smoothed() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    crop = cut_face(Image.fromarray(stripes), square_of(None, (64, 64), 0.0), 8).astype(int)
    assert abs(crop - 127).max() < 20


# Augmentation


def _images() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _draws(faces: int, epoch: int = 0) -> torch.Tensor:
    return row_draws(DRAWS, 0, epoch, torch.arange(faces))


def test_augmentation_repeats_and_leaves_its_input() -> None:
    images = _images()
    before = images.clone()
    first = augment(images, FaceAugmentation(), _draws(6))
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    assert torch.equal(first, augment(images, FaceAugmentation(), _draws(6)))
    assert not torch.equal(first, augment(images, FaceAugmentation(), _draws(6, epoch=1)))
    assert torch.equal(images, before)


def test_no_augmentation_changes_nothing() -> None:
    nothing = FaceAugmentation(flip=0, shift=0, scale=0, rotation=0, brightness=0, contrast=0)
    assert torch.equal(augment(_images(), nothing, _draws(6)), _images())


def test_a_flip_is_exact_and_of_some() -> None:
    images = _images()
    only_flip = FaceAugmentation(flip=0.5, shift=0, scale=0, rotation=0, brightness=0, contrast=0)
    moved = augment(images, only_flip, _draws(6))
    flipped = [torch.equal(new, old.flip(-1)) for new, old in zip(moved, images, strict=True)]
    kept = [torch.equal(new, old) for new, old in zip(moved, images, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 0 < sum(flipped) < 6


def test_faces_move_apart_from_each_other() -> None:
    image = _images()[:1].repeat(4, 1, 1, 1)
    moved = augment(image, FaceAugmentation(flip=0), _draws(4))
    assert not torch.equal(moved[0], moved[1])
