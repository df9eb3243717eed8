"""Draws of all data modules: of seed, epoch and row alone, however a training is cut into batches and processes."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules import ActionDataModule, FaceAttributeDataModule, InspectionDataModule, VideoQualityDataModule
from datamodules.action.frames.balanced_sampler import BalancedSampler
from datamodules.face_attributes.augmentation import FaceAugmentation
from datamodules.inspection.settings import AugmentationSettings
from tests.running import quiet_trainer

ROWS = 12
Make = Callable[..., L.LightningDataModule]
Seen = dict[tuple[int, int], Tensor]  # picture of each row and repeat


def copies(folder: Path, suffix: str, header: list[str], row: Callable[[int], list[object]]) -> str:
    """A list of copies of one file, so that nothing but the draws tells their pictures apart."""
    for number in range(1, ROWS):
        shutil.copy(folder / f"0{suffix}", folder / f"{number}{suffix}")
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *([f"{number}{suffix}", *row(number)] for number in range(ROWS))])
    return str(folder / "list.csv")


def picture(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((96, 96), Image.Resampling.BILINEAR).save(folder / "0.png")


def inspection(folder: Path, **options: Any) -> InspectionDataModule:
    picture(folder)
    (folder / "boxes.csv").write_text("image,x1,y1,x2,y2,class\n0.png,10,10,40,40,dent\n")
    columns = ["image", "domain", "split", "healthy"]
    labels = copies(folder, ".png", columns, lambda n: ["original" if n < 8 else "new", "train", int(n > 0)])
    warp = AugmentationSettings(degrees=10, translate=0.1, scale=0.1, brightness=0.1, contrast=0.1)
    settings = {"label_format": "manifest", "classes": ["dent"], "new_training": "full", "augmentation": warp}
    return InspectionDataModule(labels=labels, **{**settings, "balanced": False, **options})  # type: ignore[arg-type]


def faces(folder: Path, **options: Any) -> FaceAttributeDataModule:
    picture(folder)
    labels = copies(folder, ".png", ["file", "identity", "split", "Smiling"], lambda n: [f"person {n}", "train", n % 2])
    return FaceAttributeDataModule(labels=labels, image_size=48, augmentation=FaceAugmentation(), **options)


def action(folder: Path, **options: Any) -> ActionDataModule:
    labels = copies(folder, ".mp4", ["video", "class", "split"], lambda n: ["ab"[n > 8], "train"])
    return ActionDataModule(labels=labels, frame_size=48, frames_per_video=1, **options)


def video_quality(folder: Path, **options: Any) -> VideoQualityDataModule:
    labels = copies(folder, ".mp4", ["file", "mos"], lambda n: [1 + n / 6])
    settings: dict[str, Any] = {"grid_size": 2, "fragment_size": 16, "clip_length": 4, "content_size": 28}
    settings |= {"label_format": "manifest", "num_key_frames": 2, "aligned": 2}
    return VideoQualityDataModule(train_labels=labels, val_labels=labels, **{**settings, **options})


MODULES: dict[str, Make] = {
    "inspection": inspection,
    "inspection, balanced": lambda folder, **options: inspection(folder, balanced=True, **options),
    "inspection, crops": lambda folder, **options: inspection(folder, crop_size=32, **options),
    "faces": faces,
    "action": action,
    "action, balanced": lambda folder, **options: action(folder, class_balance="sampler", **options),
    "video quality": video_quality,
}


@pytest.fixture(params=list(MODULES))
def make(request: pytest.FixtureRequest, tmp_path: Path, make_clip: Callable[..., Path]) -> Make:
    """Makes the data module on copies of one file."""
    shutil.copy(make_clip(frames=12, height=64, width=64), tmp_path / "0.mp4")
    return lambda **options: MODULES[request.param](tmp_path, **options)


def pictures(batch: dict[str, Any]) -> Seen:
    repeat = batch.get("repeat", torch.zeros_like(batch["index"])).tolist()
    found = next(batch[name] for name in ("image", "frames", "fragments") if name in batch)
    rows = zip(batch["index"].tolist(), repeat, found, batch["valid"].tolist(), strict=True)
    return {(row, again): one.clone() for row, again, one, valid in rows if valid}


class Watcher(L.LightningModule):
    """Keeps the pictures of each micro-batch; may save a checkpoint at some place."""

    def __init__(self, save_at: tuple[int, int] | None = None, path: Path | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[tuple[int, int], Seen] = {}
        self.save_at, self.path = save_at, path

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen[self.current_epoch, batch_idx] = pictures(batch)
        return self.weight * 1.0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (self.current_epoch, batch_idx) == self.save_at:
            self.trainer.save_checkpoint(self.path or "")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        int(self.trainer.estimated_stepping_batches)  # as the schedules do, which begins the loader early
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data: L.LightningDataModule, watcher: Watcher | None = None, **options: Any) -> Watcher:
    watcher = watcher if watcher is not None else Watcher()
    path = options.pop("ckpt_path", None)
    run = quiet_trainer(None, max_epochs=2, limit_val_batches=0, **options)
    run.fit(watcher, data, ckpt_path=path, weights_only=True if path else None)
    return watcher


def of_epoch(watcher: Watcher, epoch: int) -> Seen:
    return {row: one for (own, _), seen in watcher.seen.items() if own == epoch for row, one in seen.items()}


def same(first: Seen, second: Seen) -> bool:
    common = first.keys() & second.keys()
    return len(common) > ROWS // 2 and all(torch.equal(first[row], second[row]) for row in common)


def test_draws_do_not_depend_on_batches_or_steps(make: Make) -> None:
    whole = fit(make(batch_size=4))
    parts = fit(make(batch_size=2), accumulate_grad_batches=2)
    for epoch in range(2):
        assert same(of_epoch(whole, epoch), of_epoch(parts, epoch))
    assert len({one.numpy().tobytes() for one in of_epoch(whole, 0).values()}) > ROWS // 2  # rows are drawn apart
    first, second = (list(parts.seen[0, number].values()) for number in range(2))  # micro-batches of one step
    assert not any(torch.equal(one, two) for one in first for two in second)
    before, after = of_epoch(whole, 0), of_epoch(whole, 1)
    assert not any(torch.equal(before[row], after[row]) for row in before.keys() & after.keys())


def test_a_resume_inside_an_epoch_goes_on_as_the_whole_run(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "middle.ckpt"
    whole = fit(make(batch_size=2), Watcher((1, 1), path), accumulate_grad_batches=2)
    resumed = fit(make(batch_size=2), accumulate_grad_batches=2, ckpt_path=path)
    assert list(resumed.seen) == [place for place in whole.seen if place > (1, 1)]
    for place, seen in resumed.seen.items():
        assert list(seen) == list(whole.seen[place])  # the same rows in the same order
        assert all(torch.equal(one, whole.seen[place][row]) for row, one in seen.items())


def test_worker_processes_resume_in_the_order_of_their_epoch(tmp_path: Path) -> None:
    path = tmp_path / "middle.ckpt"
    whole = fit(faces(tmp_path, batch_size=2), Watcher((1, 1), path))
    resumed = fit(faces(tmp_path, batch_size=2, num_workers=1), ckpt_path=path)
    rest = [list(seen) for place, seen in whole.seen.items() if place > (1, 1)]
    assert [list(seen) for seen in resumed.seen.values()] == rest


def seen_by(data: Any, monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> Seen:
    """What one process of several sees of the first epoch."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: world > 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    data.trainer = SimpleNamespace(training=True, current_epoch=0, global_rank=rank, global_step=0)
    return {row: one for batch in loader for row, one in pictures(data.on_after_batch_transfer(batch, 0)).items()}


def test_two_processes_draw_as_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = seen_by(make(batch_size=2), monkeypatch, 0, 1)
    both = [seen_by(make(batch_size=2), monkeypatch, rank, 2) for rank in range(2)]
    assert not both[0].keys() & both[1].keys()
    assert same(alone, both[0] | both[1])


@pytest.mark.parametrize("ranks", [2, 3])
def test_balanced_classes_come_in_one_order_on_any_number_of_processes(ranks: int) -> None:
    labels = np.repeat(np.array([0, 1, 2]), [5, 20, 76])
    alone = list(BalancedSampler(labels, seed=1))
    dealt = [list(BalancedSampler(labels, seed=1, num_replicas=ranks, rank=rank)) for rank in range(ranks)]
    together = [own[turn] for turn in range(len(dealt[0])) for own in dealt]
    assert together[: len(alone)] == alone
    assert len({(sample.index, sample.repeat) for sample in together}) == len(together)
