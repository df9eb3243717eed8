"""Items and batches: sizes, padding, crops, answers, stored maps, the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.common.sampler import SampleIndex
from datamodules.images.upright import read_picture
from datamodules.inspection.batch import IGNORE, PADDING
from datamodules.inspection.batches.crops import crop_answers, crop_image, draw_window
from datamodules.inspection.batches.dataset import InspectionDataset, collate
from datamodules.inspection.batches.decoded import (
    DecodedImage,
    DrawnAnswers,
    ImageCache,
    decode,
    draw_answers,
    read_baseline_map,
)
from datamodules.inspection.labels.masks import class_mask
from datamodules.inspection.labels.records import Answer, LabelledImage
from datamodules.inspection.settings import InspectionDataSettings
from tests.datamodules.samples import rle

SETTINGS = InspectionDataSettings()


def part(folder: Path, height: int = 40, width: int = 60, **values: object) -> LabelledImage:
    """An image whose channels are row and column, with a defect of class 1 at rows 10-18, columns 20-30."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.mgrid[:height, :width]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[10:18, 20:30] = 2
    name = f"{height}x{width}"
    Image.fromarray(pixels).save(folder / f"{name}.png")
    Image.fromarray(mask).save(folder / f"{name}_mask.png")
    image = LabelledImage(
        str(folder / f"{name}.png"), name, 0, "train", name, str(folder / f"{name}_mask.png"), source="list, line 2"
    )
    return replace(image, **values)  # type: ignore[arg-type]  # the tests name fields that exist


def test_a_batch_is_padded_to_the_largest_and_to_32(tmp_path: Path) -> None:
    images = [part(tmp_path), part(tmp_path, 70, 33, domain=1)]
    batch = collate([InspectionDataset(images, SETTINGS, 3)[row] for row in range(2)])
    assert batch["image"].shape == (2, 3, 96, 64)
    assert batch["size"].tolist() == [[40, 60], [70, 33]] == batch["source_size"].tolist()
    assert batch["domain"].tolist() == [0, 1]
    for row, (height, width) in enumerate(batch["size"].tolist()):
        picture = torch.from_numpy(np.array(read_picture(images[row].path))).permute(2, 0, 1)
        assert torch.equal(batch["image"][row, :, :height, :width], picture)
        assert int(batch["image"][row].sum()) == int(picture.sum())
        known = batch["class_mask"][row] != IGNORE
        assert bool(known[:height, :width].all())
        assert int(known.sum()) == height * width
    assert batch["boxes"].tolist() == [[[20, 10, 30, 18]]] * 2
    assert batch["box_class"].tolist() == [[1], [1]]
    assert (batch["image"].dtype, batch["class_mask"].dtype, batch["boxes"].dtype) == (
        torch.uint8,
        torch.uint8,
        torch.float32,
    )
    assert (batch["answer_mask"].shape, batch["answer_boxes"].shape) == ((2, 0, 96, 64), (2, 0, 1, 4))
    assert bool(batch["baseline_map"].isnan().all())


def test_resizing_moves_boxes_and_masks_alike(tmp_path: Path) -> None:
    item = InspectionDataset([part(tmp_path, 40, 80)], replace(SETTINGS, image_size=160), 3)[0]
    batch = collate([item])
    assert batch["size"].tolist() == [[80, 160]]
    assert batch["source_size"].tolist() == [[40, 80]]
    assert batch["boxes"].tolist() == [[[40, 20, 60, 36]]]
    rows, columns = torch.nonzero(batch["class_mask"][0, :80, :160], as_tuple=True)
    assert [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1] == [40, 20, 60, 36]


def test_unlabelled_and_padding_rows_know_nothing(tmp_path: Path) -> None:
    images = [part(tmp_path), part(tmp_path, labelled=False, is_healthy=True)]
    dataset = InspectionDataset(images, SETTINGS, 3)
    batch = collate([dataset[0], dataset[1], dataset[SampleIndex(0, valid=False)]])
    assert batch["labelled"].tolist() == [True, False, False]
    assert batch["is_healthy"].tolist() == [False, True, False]
    assert batch["valid"].tolist() == [True, True, False]
    assert bool((batch["class_mask"][1:] == IGNORE).all())
    assert bool(batch["boxes"][1:].isnan().all())
    assert batch["index"].tolist() == [0, 1, 0]
    assert int(batch["image"][2].sum()) == 0


def test_a_labelled_image_without_defect_is_healthy(tmp_path: Path) -> None:
    batch = collate([InspectionDataset([part(tmp_path, mask=None)], SETTINGS, 3)[0]])
    assert batch["is_healthy"].tolist() == [True]
    assert batch["boxes"].shape == (1, 0, 4)


def test_the_frame_of_a_box_is_unknown(tmp_path: Path) -> None:
    image = part(tmp_path, mask=None, boxes=((20.0, 10.0, 40.0, 30.0),), box_classes=(0,), regions=(None,))
    drawn = class_mask(image, 3, box_fill=0.5)
    assert bool((drawn[15:25, 25:35] == 1).all())
    assert int((drawn == 1).sum()) == 100
    assert int((drawn == IGNORE).sum()) == 300
    whole = class_mask(image, 3)
    assert int((whole == 1).sum()) == 400


def test_answers_are_drawn_in_pixels_of_the_network(tmp_path: Path) -> None:
    region = np.zeros((40, 60), dtype=bool)
    region[8:16, 20:28] = True
    anchors = ((18.0, 6.0, 30.0, 18.0), (16.0, 4.0, 28.0, 16.0))
    answers = (Answer(1, -1, (20, 8, 28, 16), rle(region)), Answer(0, 2, (4, 4, 8, 10), None, anchors))
    image = part(tmp_path, labelled=False, answers=answers)
    batch = collate([InspectionDataset([image], replace(SETTINGS, image_size=120), 3)[0]])
    assert batch["answer_class"].tolist() == [[1, 0]]
    assert batch["answer_truth"].tolist() == [[-1, 2]]
    assert torch.equal(batch["answer_mask"][0, 0, 16:32, 40:56], torch.ones(16, 16, dtype=torch.bool))
    assert int(batch["answer_mask"][0, 0].sum()) == 256
    assert int(batch["answer_mask"][0, 1].sum()) == 8 * 12  # the box itself
    assert batch["answer_boxes"].shape == (1, 2, 2, 4)
    assert batch["answer_boxes"][0, 0, 0].tolist() == [40, 16, 56, 32]  # a region: its own box
    assert bool(batch["answer_boxes"][0, 0, 1].isnan().all())
    assert batch["answer_boxes"][0, 1].tolist() == [[36, 12, 60, 36], [32, 8, 56, 32]]
    padded = collate([InspectionDataset([image], SETTINGS, 3)[0], InspectionDataset([part(tmp_path)], SETTINGS, 3)[0]])
    assert padded["answer_truth"].tolist() == [[-1, 2], [PADDING, PADDING]]


def test_a_region_that_resizing_loses_keeps_a_pixel() -> None:
    region = np.zeros((400, 400), dtype=bool)
    region[101, 103] = True
    drawn = draw_answers((Answer(0, 0, (103, 101, 104, 102), rle(region)),), (400, 400), (20, 20))
    assert int(drawn.mask.sum()) == 1
    assert bool(drawn.mask[0, 5, 5])


def test_each_pixel_gets_the_score_of_its_area(tmp_path: Path) -> None:
    score = np.linspace(0, 1, 5 * 8, dtype=np.float16).reshape(5, 8)
    np.savez(tmp_path / "map.npz", score=score)
    spread = read_baseline_map(str(tmp_path / "map.npz"), (36, 60))  # stride 8: the last areas stick out
    assert spread.shape == (36, 60)
    for y, x in ((0, 0), (7, 7), (8, 8), (35, 59), (17, 30)):
        assert spread[y, x] == score[y // 8, x // 8]
    other = read_baseline_map(str(tmp_path / "map.npz"), (100, 200))  # made at another image size
    assert other[99, 199] == score[4, 7]
    assert other[50, 50] == score[2, 2]


@pytest.mark.parametrize(
    "content", [None, b"", b"broken", b"PK\x03\x04broken", {"other": np.zeros((2, 2))}, {"score": np.zeros(3)}]
)
def test_a_broken_map_is_named(tmp_path: Path, content: object) -> None:
    file = tmp_path / "map.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(file, **content)
    with pytest.raises(LabelError, match=r"the stored map .*map.npz .* mine the images again"):
        read_baseline_map(str(file), (8, 8))


def test_unreadable_files_stop_or_are_reported(tmp_path: Path) -> None:
    image = part(tmp_path, mask=None)
    Path(image.path).write_bytes(b"no image")
    with pytest.raises(LabelError, match=r"list, line 2: image .*40x60.png cannot be read"):
        InspectionDataset([image], SETTINGS, 3)[0]
    item = InspectionDataset([image], SETTINGS, 3, on_error="skip")[0]
    assert not item.valid
    assert item.error.startswith("list, line 2: image ")
    assert collate([item])["error"] == [item.error]


def test_the_cache_keeps_to_its_budget(tmp_path: Path) -> None:
    first, second = part(tmp_path), part(tmp_path, 70, 33)
    size = decode(first, 3, None, 1.0).nbytes
    cache = ImageCache(1.5 * size / 1e6)
    dataset = InspectionDataset([first, second], SETTINGS, 3, cache=cache)
    items = [dataset[0], dataset[1], dataset[0]]
    assert items[2].image is items[0].image
    assert cache.get(second) is None
    Path(first.path).unlink()
    assert dataset[0].image is items[0].image
    assert ImageCache(0).get(first) is None


# ---- crops


def scene(height: int, width: int, box: tuple[int, int, int, int]) -> tuple[DecodedImage, DrawnAnswers]:
    x1, y1, x2, y2 = box
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y1:y2, x1:x2] = 1
    boxes = np.array([box], dtype=np.float32)
    pixels = np.broadcast_to(mask, (3, height, width))
    image = DecodedImage(pixels, mask, boxes, np.array([0]), (height, width), False)
    answers = DrawnAnswers(
        mask[None] > 0, np.stack([boxes, np.full((1, 4), np.nan, np.float32)], 1), np.array([0]), np.array([-1])
    )
    return image, answers


@settings(deadline=None, max_examples=80)
@given(
    height=st.integers(10, 60),
    width=st.integers(10, 60),
    crop=st.integers(8, 40),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 50),
)
def test_after_a_crop_boxes_still_bound_the_mask(
    height: int, width: int, crop: int, corner: tuple[float, float], seed: int
) -> None:
    x, y = int(corner[0] * (width - 8)), int(corner[1] * (height - 6))
    image, answers = scene(height, width, (x, y, x + 8, y + 6))
    window = draw_window((height, width), crop, image.boxes, np.random.default_rng(seed))
    assert (window.height, window.width) == (min(crop, height), min(crop, width))
    assert 0 <= window.top <= height - window.height
    assert 0 <= window.left <= width - window.width
    cut, left = crop_image(image, window), crop_answers(answers, window)
    assert cut.size == (window.height, window.width) == cut.class_mask.shape == left.mask.shape[1:]
    assert np.array_equal(cut.pixels[0] > 0, (cut.class_mask == 1) | (cut.class_mask == IGNORE))
    if len(cut.boxes):
        rows, columns = np.nonzero(cut.class_mask == 1)
        assert cut.boxes[0].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    else:  # too little is left: unknown, neither defect nor healthy
        assert not (cut.class_mask == 1).any()
        assert int((cut.class_mask == IGNORE).sum()) < 0.25 * 48
    assert len(left.mask) == int(left.mask.any())
    if len(left.mask):
        assert np.isnan(left.boxes[0, 1]).all()
        if not np.isnan(left.boxes[0, 0]).any():  # anchors keep their whole shape
            assert (left.boxes[0, 0, 2:] - left.boxes[0, 0, :2]).tolist() == [8, 6]


def test_half_of_the_crops_hold_the_defect() -> None:
    box = np.array([[500, 300, 508, 306]], dtype=np.float32)
    generator = np.random.default_rng(0)
    windows = [draw_window((1000, 1000), 64, box, generator) for _ in range(400)]
    hits = [w.left <= 504 < w.left + 64 and w.top <= 303 < w.top + 64 for w in windows]
    assert 0.42 < np.mean(hits) < 0.58
    places = {(504 - w.left, 303 - w.top) for w, hit in zip(windows, hits, strict=True) if hit}
    assert len(places) > 50  # not always the centre: a net would learn that


def test_crops_follow_from_seed_epoch_and_repeat(tmp_path: Path) -> None:
    settings = replace(SETTINGS, crop_size=16)
    dataset = InspectionDataset([part(tmp_path)], settings, 3, training=True)

    def corner(index: SampleIndex, made: InspectionDataset = dataset) -> list[int]:
        item = made[index]
        assert item.image.size == (16, 16)
        return [int(value) for value in item.image.pixels[:2, 0, 0]]

    first = SampleIndex(0, True, 1)
    assert corner(first) == corner(first)
    others = [replace(first, epoch=2), replace(first, repeat=1)]
    corners = [corner(index) for index in (first, *others)]
    corners.append(corner(first, InspectionDataset([part(tmp_path)], replace(settings, seed=5), 3, training=True)))
    assert len({tuple(found) for found in corners}) == 4
    whole = InspectionDataset([part(tmp_path)], settings, 3)[first]
    assert whole.image.size == (40, 60)  # evaluation sees whole images
