"""One video as tensors: the same in every circumstance that must not matter."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.common.errors import VideoError
from datamodules.common.sampler import SampleIndex
from datamodules.video.reading import contract
from datamodules.video.reading.reader import KeepFrames, decord_available, read_video
from datamodules.video_quality.dataset import VideoQualityDataset, VideoQualityItem, collate
from datamodules.video_quality.labels import LabelledVideo
from datamodules.video_quality.settings import ClipSettings

SMALL = ClipSettings(
    grid_size=3,
    fragment_size=16,
    aligned=2,
    clip_length=6,
    train_clips=2,
    eval_clips=2,
    num_key_frames=3,
    content_size=28,
)
MakeClip = Callable[..., Path]


def dataset(*paths: Path, settings: ClipSettings = SMALL, **options: object) -> VideoQualityDataset:
    return VideoQualityDataset([LabelledVideo(str(p), p.name, 3.5, 2) for p in paths], settings, **options)  # type: ignore[arg-type]


def same(first: VideoQualityItem, second: VideoQualityItem) -> bool:
    return all(torch.equal(first[name], second[name]) for name in ("fragments", "key_frames", "frame_index"))  # type: ignore[literal-required]


def test_shapes_types_and_record(make_clip: MakeClip) -> None:
    item = dataset(make_clip(frames=24))[0]
    assert item["fragments"].shape == (2, 3, 6, 48, 48)
    assert item["key_frames"].shape == (2, 3, 3, 28, 28)
    assert item["frame_index"].tolist() == [[3, 5, 7, 9, 11, 13], [10, 12, 14, 16, 18, 20]]
    assert item["fragments"].dtype == item["key_frames"].dtype == torch.uint8
    record = item["record"]
    assert (record["status"], record["error"], record["width"], record["height"]) == ("ok", "", 128, 96)
    assert (record["frames_decoded"], record["frames_announced"], record["upsampled"]) == (24, 24, False)
    assert record["seconds"] > 0
    assert math.isnan(item["region"][0])


def test_fragments_and_key_frames_are_those_of_the_frames(make_clip: MakeClip) -> None:
    path = make_clip(frames=24)
    item = dataset(path)[0]
    frames = KeepFrames(item["frame_index"].flatten().numpy())
    read_video(str(path), frames)
    pictures = frames.frames().reshape(2, 6, 96, 128, 3)
    for clip in range(2):
        for time in range(6):
            mosaic = item["fragments"][clip, :, time].permute(1, 2, 0).numpy()
            for i, j in ((0, 0), (1, 2), (2, 1)):
                cell = mosaic[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
                assert occurs(cell, pictures[clip, time], 32 * i, 42 * j)
        for key, position in enumerate((1, 3, 5)):
            mean = pictures[clip, position].mean(axis=(0, 1))
            assert item["key_frames"][clip, key].float().mean(dim=(1, 2)).numpy() == pytest.approx(mean, abs=1)


def occurs(cell: np.ndarray, picture: np.ndarray, top: int, left: int) -> bool:
    """True when the fragment is a piece of its grid cell."""
    return any(
        (picture[y : y + 16, x : x + 16] == cell).all()
        for y in range(top, top + 17)
        for x in range(left, left + 27)
        if picture[y : y + 16, x : x + 16].shape == cell.shape
    )


def test_a_renamed_copy_gives_the_same_tensors(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(frames=24)
    copy = Path(shutil.copy(path, tmp_path / "another name.mp4"))
    assert same(dataset(path)[0], dataset(copy)[0])


def test_memory_bounds_and_threads_do_not_matter(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(frames=24)
    before = dataset(path)[0]
    monkeypatch.setattr(contract, "CHUNK_BYTES", 1)  # one frame at a time
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert same(before, dataset(path)[0])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not decord_available(), reason="decord has no wheel for this machine")
def test_both_readers_give_the_same_tensors(make_clip: MakeClip) -> None:
    path = make_clip(frames=24)
    first, second = dataset(path, reader="decord")[0], dataset(path, reader="pyav")[0]
    assert first["record"]["reader"] == "decord"
    assert second["record"]["reader"] == "pyav"
    assert same(first, second)


def test_training_draws_follow_seed_epoch_and_row(make_clip: MakeClip) -> None:
    path = make_clip("long.mp4", frames=60)
    data = dataset(path, path.parent / path.name, training=True, seed=5)
    base = data[SampleIndex(0, True, epoch=1)]
    assert same(base, data[SampleIndex(0, True, epoch=1)])
    others = [SampleIndex(0, True, 2), SampleIndex(1, True, 1)]
    assert not any(torch.equal(base["fragments"], data[other]["fragments"]) for other in others)
    assert not same(base, dataset(path, training=True, seed=6)[SampleIndex(0, True, 1)])
    assert (base["frame_index"].diff(dim=1) == 2).all()


@pytest.mark.parametrize(("height", "width"), [(32, 40), (16, 16), (8, 20), (2, 2)])
def test_small_videos_are_enlarged(make_clip: MakeClip, height: int, width: int) -> None:
    options = {} if min(height, width) >= 16 else {"codec": "mpeg4", "qp": None}
    path = make_clip(f"small{height}.{'mp4' if not options else 'avi'}", height=height, width=width, **options)
    item = dataset(path)[0]
    assert item["record"]["upsampled"]
    assert (item["record"]["height"], item["record"]["width"]) == (height, width)
    assert item["fragments"].float().std() > 1 or height == 2


def test_short_videos_begin_anew(make_clip: MakeClip) -> None:
    one = dataset(make_clip("one.mp4", frames=1))[0]
    assert one["valid"]
    assert one["frame_index"].max() == 0
    assert torch.equal(one["key_frames"][0, 0], one["key_frames"][1, 2])
    seven = dataset(make_clip("seven.mp4", frames=7))[0]
    assert seven["frame_index"].tolist() == [[0, 2, 4, 6, 1, 3]] * 2
    assert not torch.equal(seven["fragments"][0], seven["fragments"][1])  # the clips' own offsets


def test_ten_bits(make_clip: MakeClip) -> None:
    item = dataset(make_clip("ten.mp4", pix_fmt="yuv420p10le"))[0]
    eight = dataset(make_clip("eight.mp4"))[0]
    assert item["valid"]
    assert (item["key_frames"].int() - eight["key_frames"].int()).abs().float().mean() < 6


def test_unreadable_files_stop_or_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        dataset(path)[0]
    item = dataset(path, on_error="report")[0]
    assert not item["valid"]
    assert item["record"]["status"] == "error"
    assert str(path) in item["record"]["error"]
    assert item["fragments"].shape == (2, 3, 6, 48, 48)
    assert item["fragments"].max() == 0


def test_too_thin_pictures_are_reported(make_clip: MakeClip) -> None:
    wide = make_clip("thin.avi", frames=2, height=2, width=2000, codec="mpeg4", qp=None)
    item = dataset(wide, settings=ClipSettings(), on_error="report")[0]
    assert "too thin" in item["record"]["error"]


def test_padding_is_not_read(tmp_path: Path) -> None:
    item = dataset(tmp_path / "absent.mp4")[SampleIndex(0, valid=False)]
    assert not item["valid"]
    assert item["record"]["status"] == "ok"


def test_rows_keep_their_numbers(make_clip: MakeClip) -> None:
    data = VideoQualityDataset([LabelledVideo(str(make_clip()), f"{n}.mp4") for n in range(4)], SMALL, rows=[1, 3])
    assert len(data) == 2
    assert [data[index]["index"] for index in range(2)] == [1, 3]


def test_batches_follow_the_contract(make_clip: MakeClip, tmp_path: Path) -> None:
    data = dataset(make_clip(frames=24), tmp_path / "absent.mp4", on_error="report")
    batch = collate([data[0], data[1]])
    shapes = {
        name: (tuple(value.shape), value.dtype) for name, value in batch.items() if isinstance(value, torch.Tensor)
    }
    assert shapes == {
        "fragments": ((2, 2, 3, 6, 48, 48), torch.uint8),
        "key_frames": ((2, 2, 3, 3, 28, 28), torch.uint8),
        "frame_index": ((2, 2, 6), torch.int64),
        "index": ((2,), torch.int64),
        "mos": ((2,), torch.float32),
        "pattern": ((2,), torch.int64),
        "region": ((2, 4), torch.float32),
        "valid": ((2,), torch.bool),
    }
    assert batch["valid"].tolist() == [True, False]
    assert batch["video"] == ["clip.mp4", "absent.mp4"]
    assert [record["status"] for record in batch["record"]] == ["ok", "error"]
