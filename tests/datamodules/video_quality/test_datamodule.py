"""The data module: sources, loaders, errors, two processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from datamodules import VideoQualityDataModule
from datamodules.common.errors import ConfigurationError, LabelError, VideoError
from datamodules.video_quality.batch import VideoQualityBatch
from datamodules.video_quality.demo.sources import DemoSettings
from tests.forks import run_script

Write = Callable[[Path, str], Path]
SMALL = {
    "grid_size": 3,
    "fragment_size": 16,
    "aligned": 2,
    "clip_length": 4,
    "eval_clips": 2,
    "num_key_frames": 2,
    "content_size": 28,
    "batch_size": 2,
}


def module(**options: object) -> VideoQualityDataModule:
    return VideoQualityDataModule(**{**SMALL, **options})  # type: ignore[arg-type]


def listed(manifest: Path, **options: object) -> VideoQualityDataModule:
    return module(labels=str(manifest), label_format="manifest", **options)


def batches(data: VideoQualityDataModule, stage: str, loader: str | None = None) -> list[VideoQualityBatch]:
    data.setup({"val": "validate"}.get(stage, stage) if loader is None else stage)
    made = getattr(data, f"{loader or stage}_dataloader")()
    return [data.on_before_batch_transfer(batch, 0) for batch in made]


def names(found: list[VideoQualityBatch]) -> list[str]:
    return [name for batch in found for name in batch["video"]]


def test_a_manifest_gives_its_own_splits(manifest: Path) -> None:
    data = listed(manifest)
    assert names(batches(data, "val")) == ["0004.mp4", "0005.mp4"]
    assert names(batches(data, "test")) == ["0006.mp4"]
    train = batches(data, "fit", "train")
    assert len(train) == 1  # drop_last: a batch of one tells nothing of correlation
    assert set(names(train)) < {"0001.mp4", "0002.mp4", "0003.mp4"}
    first = data.videos("train")[0]
    assert (first.reference, first.region, first.pattern) == ("rtrain", (10.0, 20.0, 90.0, 80.0), 1)
    assert batches(data, "val")[0]["mos"].tolist() == [2.0, 2.5]


def test_known_after_init() -> None:
    data = module(path="nowhere", key_frame_layout="official", num_key_frames=4)
    assert (data.grid_size, data.fragment_size, data.clip_length) == (3, 16, 4)
    assert (data.key_frame_layout, data.num_key_frames, data.content_size) == ("official", 4, 28)
    assert data.rank_pairs is None
    assert data.label_range is None
    assert module().label_range == (1.0, 5.0)
    assert module(test_labels="a", label_format="kvq").label_range == (1.0, 5.0)
    assert module(test_labels="a", label_format="duration_fps_mos", label_range=(0, 100)).label_range == (0, 100)


def test_lists_that_a_stage_needs_must_be_given(manifest: Path) -> None:
    data = module(train_labels=str(manifest), label_format="manifest")
    with pytest.raises(ConfigurationError, match="val_labels is not given"):
        data.setup("fit")
    with pytest.raises(ConfigurationError, match=r"nowhere.*does not exist"):
        module(path="nowhere").setup("predict")
    with pytest.raises(ConfigurationError, match="test_labels is not given, but the predict videos"):
        data.setup("predict")


def test_the_test_list_is_not_read_to_train(folder: Path, write: Write) -> None:
    """The public test list of KVQ has no scores: fit must not stumble over it."""
    good = write(folder / "good.csv", "file,mos\n0001.mp4,1\n0002.mp4,2\n")
    open_list = write(folder / "open.csv", "file,mos\n0003.mp4,\n")
    data = module(train_labels=str(good), val_labels=str(good), test_labels=str(open_list), label_format="manifest")
    data.setup("fit")
    with pytest.raises(LabelError, match=r"open\.csv, line 2"):
        data.setup("test")
    batch = batches(data, "predict")[0]
    assert batch["video"] == ["0003.mp4"]
    assert torch.isnan(batch["mos"]).all()


def test_labels_are_split_by_reference(folder: Path, write: Write) -> None:
    rows = "".join(f"{n:04}.mp4,{n},s{(n - 1) // 2}\n" for n in range(1, 7))
    data = listed(write(folder / "m.csv", "file,mos,reference\n" + rows), val_fraction=0.3, test_fraction=0.3)
    sides = [{video.reference for video in data.videos(split)} for split in ("train", "val", "test")]
    assert [len(side) for side in sides] == [1, 1, 1]
    assert len(set.union(*sides)) == 3
    empty = listed(write(folder / "m.csv", "file,mos,reference\n" + rows), test_fraction=0.0)
    with pytest.raises(ConfigurationError, match="leaves the test split empty"):
        empty.setup("test")


def test_predict_lists_a_folder_and_reports(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "text.MP4").write_text("no video")
    (folder / ".hidden.mp4").write_text("not listed")
    (folder / "notes.txt").write_text("not listed")
    data = module(path=str(folder))
    found = batches(data, "predict")
    data.teardown("predict")
    assert names(found) == [f"{n:04}.mp4" for n in range(1, 7)] + ["sub/text.MP4"]
    assert [bool(v) for batch in found for v in batch["valid"]] == [True] * 6 + [False]
    record = found[-1]["record"][0]
    assert record["status"] == "error"
    assert record["path"] == str(folder / "sub" / "text.MP4")
    assert [message for message in caplog.messages if "text.MP4" in message and message.startswith("skipped:")]
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1  # the writer of the rows counts them


def test_predict_one_file_and_nothing(folder: Path, tmp_path: Path) -> None:
    assert names(batches(module(path=str(folder / "0002.mp4")), "predict")) == ["0002.mp4"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no video"):
        module(path=str(tmp_path / "empty")).setup("predict")


def test_options_that_change_a_score() -> None:
    base, same, other = (
        module(path="a", **options).score_options for options in ({}, {"seed": 3}, {"frame_interval": 4})
    )
    assert base == same
    assert base != other
    assert json.loads(json.dumps(base)) == base


def test_excluded_files_are_skipped_and_rows_keep_their_numbers(folder: Path) -> None:
    data = module(path=str(folder))
    data.exclude([folder / "0001.mp4", str(folder / "0004.mp4")])
    found = batches(data, "predict")
    assert names(found) == ["0002.mp4", "0003.mp4", "0005.mp4", "0006.mp4"]
    assert [int(row) for batch in found for row in batch["index"]] == [1, 2, 4, 5]
    assert len(data.videos("predict")) == 6
    data.exclude([folder / f"{number:04}.mp4" for number in range(1, 7)])
    assert batches(data, "predict") == []


def test_an_unreadable_file_stops_the_test_unless_skipped(
    folder: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "0006.mp4").write_bytes((folder / "0006.mp4").read_bytes()[:2000])
    with pytest.raises(VideoError, match=r"0006\.mp4: cannot be read"):
        batches(listed(manifest), "test")
    data = listed(manifest, on_error="skip")
    found = batches(data, "test")
    data.teardown("test")
    assert found[0]["valid"].tolist() == [False]
    assert any("0006.mp4" in message for message in caplog.messages)
    assert any("1 file(s)" in message for message in caplog.messages)


def test_missing_videos_are_skipped_on_request(folder: Path, write: Write) -> None:
    path = write(folder / "m.csv", "file,mos,split\n0001.mp4,1,test\nabsent.mp4,2,test\n")
    with pytest.raises(LabelError, match=r"m\.csv, line 3: there is no video .*absent\.mp4"):
        listed(path).setup("test")
    assert batches(listed(path, on_error="skip"), "test")[0]["valid"].tolist() == [True, False]


def test_rank_pairs_are_checked_against_the_lists(folder: Path, manifest: Path, write: Write) -> None:
    pairs = write(folder / "pairs.csv", "video1,video2,rank,group\n0004.mp4,0005.mp4,1,source\n")
    data = listed(manifest, rank_pairs=str(pairs))
    assert data.rank_pairs is not None
    assert data.rank_pairs[0].video2 == "0005.mp4"
    data.setup("validate")
    write(pairs, "video1,video2,rank,group\n0004.mp4,0001.mp4,1,source\n")  # 0001 trains: not evaluated, but known
    listed(manifest, rank_pairs=str(pairs)).setup("validate")
    write(pairs, "video1,video2,rank,group\n0004.mp4,9999.mp4,1,source\n")
    with pytest.raises(LabelError, match=r"pairs\.csv, line 2: video '9999\.mp4' is in no label list"):
        listed(manifest, rank_pairs=str(pairs)).setup("validate")


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_same_batches(manifest: Path, folder: Path, workers: int) -> None:
    """Also after the main process has itself decoded: workers are forked from it."""
    alone = batches(module(path=str(folder)), "predict")
    together = batches(module(path=str(folder), num_workers=workers), "predict")
    assert names(alone) == names(together)
    for first, second in zip(alone, together, strict=True):
        assert torch.equal(first["fragments"], second["fragments"])
        assert torch.equal(first["key_frames"], second["key_frames"])


def test_epochs_differ_with_persistent_workers(manifest: Path) -> None:
    def epochs(workers: int) -> list[torch.Tensor]:
        data = listed(manifest, num_workers=workers, batch_size=1)
        data.setup("fit")
        loader = data.train_dataloader()
        drawn = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            order = {batch["video"][0]: batch["fragments"] for batch in loader}
            drawn.append(torch.cat([order[name] for name in sorted(order)]))
        return drawn

    first, second = epochs(2)
    assert not torch.equal(first, second)
    assert torch.equal(torch.stack(epochs(0)), torch.stack([first, second]))


def test_an_error_in_a_worker_names_the_file(folder: Path, manifest: Path) -> None:
    (folder / "0006.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"0006\.mp4: cannot be read"):
        batches(listed(manifest, num_workers=1), "test")


def test_the_demo_is_the_default(tmp_path: Path) -> None:
    settings = DemoSettings(sources=3, frames=4, size=64, cache_dir=str(tmp_path), workers=1)
    data = module(demo=settings)
    data.prepare_data()
    data.setup("fit")
    videos = [video for split in ("train", "val", "test") for video in data.videos(split)]
    assert len(videos) == 18
    assert {video.pattern for video in videos} == set(range(6))
    assert all(video.region is not None and 1 <= video.mos <= 5 for video in videos)
    batch = batches(data, "test")[0]
    assert bool(batch["valid"].all())
    assert not torch.isnan(batch["region"]).any()


SCRIPT = """
import json, sys
import torch
from lightning.pytorch import LightningModule, Trainer
from datamodules import VideoQualityDataModule
from datamodules.common.sampler import PaddedDistributedSampler

class Count(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []
    def test_step(self, batch, index):
        self.seen += [(int(row), bool(valid)) for row, valid in zip(batch["index"], batch["valid"])]
    def on_test_epoch_end(self):
        assert isinstance(self.trainer.test_dataloaders.sampler, PaddedDistributedSampler)
        with open(f"{sys.argv[2]}/rank{self.global_rank}.json", "w") as stream:
            json.dump(self.seen, stream)

data = VideoQualityDataModule(labels=sys.argv[1], label_format="manifest", grid_size=3, fragment_size=16, clip_length=4,
    eval_clips=1, num_key_frames=2, content_size=28, batch_size=2)
trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False)
trainer.test(Count(), datamodule=data, verbose=False)
"""


def test_two_processes_see_every_video_once(folder: Path, write: Write, tmp_path: Path) -> None:
    """Lightning must not wrap the sampler a second time (its use_distributed_sampler is on here)."""
    rows = "".join(f"{number:04}.mp4,{number},test\n" for number in range(1, 6))
    path = write(folder / "five.csv", "file,mos,split\n" + rows)
    script = write(tmp_path / "two.py", SCRIPT)
    run_script(2, script, path, tmp_path)
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert ranks == [[[0, True], [2, True], [4, True]], [[1, True], [3, True], [0, False]]]


class Names(LightningModule):
    """Give back what arrives, as a method's predict_step would."""

    def predict_step(self, batch: VideoQualityBatch, batch_idx: int) -> list[str]:
        return [f"{name} {bool(valid)}" for name, valid in zip(batch["video"], batch["valid"], strict=True)]


def test_lightning_predicts_over_the_loader(folder: Path) -> None:
    (folder / "0002.mp4").write_bytes(b"")
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    found = trainer.predict(Names(), datamodule=module(path=str(folder), batch_size=4))
    assert found is not None
    assert [name for batch in found for name in batch] == [f"{n:04}.mp4 {n != 2}" for n in range(1, 7)]
