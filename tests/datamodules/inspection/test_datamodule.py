"""The data module: splits, loaders, determinism, two processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.inspection.batch import InspectionBatch
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.demo.settings import DEFECT_CLASSES, InspectionDemoSettings
from datamodules.inspection.settings import AugmentationSettings
from tests.datamodules.samples import Watcher
from tests.forks import run_script
from tests.running import quiet_trainer

NO_FLIPS = AugmentationSettings(flip_horizontal=0, flip_vertical=0)


def listed(parts: Path, **options: Any) -> InspectionDataModule:
    chosen = {"batch_size": 4, **options}
    return InspectionDataModule(labels=str(parts / "manifest.csv"), label_format="manifest", **chosen)


def train_batches(data: InspectionDataModule, epoch: int = 0) -> list[InspectionBatch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # Lightning does this
    return list(loader)  # type: ignore[arg-type]  # collate makes batches of the items


def names(batches: list[InspectionBatch]) -> list[str]:
    return [Path(path).stem for batch in batches for path in batch["path"]]


def test_splits_and_domains(parts: Path) -> None:
    data = listed(parts)
    data.setup("fit")
    assert data.class_names == ["scratch", "dent", "stain"]
    counts = {split: len(data.images(split)) for split in ("train", "val", "test", "predict")}  # type: ignore[arg-type]
    assert counts == {"train": 6, "val": 5, "test": 3, "predict": 9}
    assert {image.domain for image in data.images("train")} == {0}
    assert [len(data.images("val", domain)) for domain in (0, 1)] == [2, 3]
    assert all(image.mask for image in data.images("predict"))  # the simulated operator needs the truth
    val = next(iter(data.val_dataloader()))
    assert isinstance(val, dict)
    assert val["domain"].tolist() == [0, 0, 1, 1]
    assert sum(len(batch["path"]) for batch in data.val_dataloader()) == 5  # type: ignore[call-overload,misc]


def test_full_labels_of_the_new_domain_in_balanced_batches(parts: Path) -> None:
    data = listed(parts, new_training="full")
    for epoch in range(2):
        batches = train_batches(data, epoch)
        assert [batch["domain"].tolist() for batch in batches] == [[0, 1, 0, 1]] * 4
        assert all(bool(batch["labelled"].all()) for batch in batches)


def test_unbalanced_batches_draw_both_domains_as_they_come(parts: Path) -> None:
    data = listed(parts, new_training="full", balanced=False, batch_size=5)
    batches = train_batches(data)
    assert [len(batch["path"]) for batch in batches] == [5, 5, 5]
    assert len(set(names(batches))) == 15
    assert len({tuple(batch["domain"].tolist()) for batch in batches}) > 1


def test_a_limit_chooses_new_images_by_the_seed(parts: Path) -> None:
    def chosen(**options: Any) -> list[str]:
        return [image.name for image in listed(parts, new_training="full", **options).images("train", 1)]

    assert len(chosen(new_limit=4)) == 4
    assert chosen(new_limit=4) == chosen(new_limit=4)
    assert len({tuple(chosen(new_limit=4, seed=seed)) for seed in range(5)}) > 1
    assert len(chosen(new_limit=99)) == 9


def test_too_few_images_for_a_batch(parts: Path) -> None:
    with pytest.raises(ConfigurationError, match="batch_size 32 is more than the 18 samples of an epoch"):
        listed(parts, new_training="full", batch_size=32).train_dataloader()
    assert [len(batch["path"]) for batch in train_batches(listed(parts, batch_size=32))] == [6]


def test_a_split_without_images_is_named(parts: Path) -> None:
    rows = (parts / "manifest.csv").read_text().splitlines()
    (parts / "manifest.csv").write_text("\n".join(row for row in rows if ",test," not in row) + "\n")
    with pytest.raises(ConfigurationError, match="there is no image for test; name split test"):
        listed(parts).setup("test")
    unlabelled = InspectionDataModule(path=str(parts / "images"), classes=["a"])
    with pytest.raises(ConfigurationError, match="there is no image for train"):
        unlabelled.setup("fit")


def test_worker_processes_change_nothing(parts: Path) -> None:
    options: dict[str, Any] = {"new_training": "full", "crop_size": 32, "seed": 3}
    alone, helped = listed(parts, **options), listed(parts, num_workers=2, **options)
    loader = helped.train_dataloader()
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # Lightning does this
        for one, other in zip(train_batches(alone, epoch), list(loader), strict=True):
            assert isinstance(other, dict)
            for name, value in one.items():
                if isinstance(value, Tensor):
                    torch.testing.assert_close(value, other[name], equal_nan=True, rtol=0, atol=0)
                else:
                    assert value == other[name]
    first, second = (train_batches(alone, epoch) for epoch in range(2))
    assert names(first) != names(second)
    assert first[0]["image"].shape[-2:] == (32, 32)


def test_images_to_mine_come_one_at_a_time_where_sizes_differ(parts: Path) -> None:
    folder = parts / "mine"
    for number in range(3):
        Image.new("RGB", (40, 30)).save(parts / f"{number}.png")
    data = InspectionDataModule(path=str(parts / "images"), batch_size=8)
    assert data.class_names is None
    assert [len(batch["path"]) for batch in data.predict_dataloader()] == [8, 8, 7]  # type: ignore[call-overload,misc]
    shutil.copytree(parts / "images", folder)
    Image.new("RGB", (40, 30)).save(folder / "small.png")
    data = InspectionDataModule(path=str(folder), batch_size=8)
    assert [len(batch["path"]) for batch in data.predict_dataloader()] == [1] * 24  # type: ignore[call-overload,misc]
    same = InspectionDataModule(path=str(folder), batch_size=8, image_size=64)
    assert len(same.predict_dataloader()) == 3  # 64 x 48 after resizing


def test_an_unreadable_image_to_mine_is_passed_over(parts: Path) -> None:
    files = sorted((parts / "images").iterdir())
    files[3].write_bytes(files[3].read_bytes()[:200])
    data = InspectionDataModule(path=str(parts / "images"), batch_size=32)
    (batch,) = data.predict_dataloader()
    assert isinstance(batch, dict)
    assert batch["valid"].tolist() == [row != 3 for row in range(23)]
    assert f"image {files[3]} cannot be read" in batch["error"][3]


def test_a_broken_image_stops_a_training_before_it_begins_and_no_test(parts: Path) -> None:
    data = listed(parts)
    broken = [Path(data.images("train")[0].path), Path(data.images("test")[0].path)]
    for image in broken:
        image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(LabelError, match=f"{broken[0].name} cannot be read"):
        data.setup("fit")
    skipping = listed(parts, on_error="skip")
    skipping.setup("fit")
    for batch in train_batches(skipping):
        assert batch["valid"].tolist() == [path != str(broken[0]) for path in batch["path"]]
    data.setup("test")
    (tested,) = data.test_dataloader()
    assert isinstance(tested, dict)
    assert tested["valid"].tolist() == [False, True, True]
    assert "cannot be read" in tested["error"][0]


def test_the_fingerprint_follows_the_images_and_not_their_place(parts: Path, tmp_path: Path) -> None:
    before = listed(parts).data_fingerprint()
    moved = tmp_path / "moved"
    shutil.copytree(parts, moved)
    assert listed(moved).data_fingerprint() == before
    assert listed(parts, image_size=32).data_fingerprint() != before
    Image.fromarray(np.zeros((48, 64, 3), dtype=np.uint8)).save(moved / "images/new_train_9.png")
    assert listed(moved).data_fingerprint() != before
    assert listed(parts, new_training="full").data_fingerprint() == before


def test_sizes_of_boxes_are_in_pixels_of_the_network(parts: Path) -> None:
    sizes = listed(parts).box_sizes()
    assert sizes.dtype == np.float32
    assert sizes.tolist() == [[8, 10]] * 5  # one of the six parts is healthy
    assert listed(parts, image_size=128).box_sizes().tolist() == [[16, 20]] * 5
    assert len(listed(parts, new_training="full").box_sizes()) == 12


def test_a_healthy_part_with_a_defect_stops_training(parts: Path) -> None:
    rows = (parts / "manifest.csv").read_text()
    (parts / "manifest.csv").write_text(rows.replace("original_train_1,0", "original_train_1,1"))
    with pytest.raises(LabelError, match=r"manifest.csv, line 3: .* flagged healthy but its labels hold a defect"):
        train_batches(listed(parts, batch_size=2))


def fit(data: InspectionDataModule) -> Watcher[InspectionBatch]:
    module = Watcher[InspectionBatch]()
    quiet_trainer(None, max_epochs=2).fit(module, datamodule=data)
    return module


def test_only_training_images_are_augmented(parts: Path) -> None:
    def same(first: list[InspectionBatch], second: list[InspectionBatch]) -> bool:
        return all(torch.equal(one["image"], two["image"]) for one, two in zip(first, second, strict=True))

    plain, moved, again = fit(listed(parts, augmentation=NO_FLIPS)), fit(listed(parts)), fit(listed(parts))
    seen = plain.of("train")
    assert names(seen) == names(moved.of("train"))
    assert names(seen[:1]) != names(seen[1:])  # the sampler is told of the epoch
    assert not same(seen, moved.of("train"))
    assert same(plain.of("val"), moved.of("val"))
    assert same(again.of("train"), moved.of("train"))


TWO_PROCESSES = """
import json, os, sys
from pathlib import Path
from zlib import crc32
import torch
from lightning.pytorch import LightningModule, Trainer
from datamodules.inspection.settings import AugmentationSettings
from datamodules.inspection.datamodule import InspectionDataModule

class Counter(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.judged = [], []

    def training_step(self, batch, batch_idx):
        facts = [batch[name].tolist() for name in ("domain", "index", "valid", "repeat")]
        self.seen.append([self.current_epoch, *facts, [crc32(image.numpy().tobytes()) for image in batch["image"]]])
        return self.weight * batch["image"].float().mean()

    def validation_step(self, batch, batch_idx):
        self.judged += batch["index"][batch["valid"]].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_fit_end(self):
        Path(sys.argv[2], f"{self.global_rank}.json").write_text(json.dumps([self.seen, self.judged]))

if __name__ == "__main__":
    augmentation = AugmentationSettings(degrees=10, brightness=0.2)
    data = InspectionDataModule(labels=sys.argv[1], label_format="manifest", new_training="full", batch_size=4,
                                crop_size=32, augmentation=augmentation)
    Trainer(accelerator="cpu", devices=int(sys.argv[3]), strategy="ddp", accumulate_grad_batches=2, max_epochs=2,
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, check_val_every_n_epoch=2).fit(Counter(), datamodule=data)
"""


def drawn(ranks: list[Any]) -> dict[tuple[int, int, int], int]:
    """Sum of the picture of each epoch, row and repeat."""
    return {
        (epoch, row, again): picture
        for seen, _ in ranks
        for epoch, _, rows, _, repeats, pictures in seen
        for row, again, picture in zip(rows, repeats, pictures, strict=True)
    }


def test_two_processes_get_halves_of_both_domains(parts: Path, tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(TWO_PROCESSES)

    def run(processes: int) -> list[Any]:
        folder = tmp_path / f"{processes}"
        folder.mkdir()
        run_script(processes, script, parts / "manifest.csv", folder, processes)
        return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]

    ranks = run(2)
    per_epoch: list[list[int]] = [[], []]
    for seen, _ in ranks:
        assert [epoch for epoch, *_ in seen] == [0, 0, 1, 1]  # 5 pairs a rank: 2 whole batches of 4
        for epoch, domains, indices, valid, *_ in seen:
            assert domains == [0, 1, 0, 1]
            assert all(valid)
            per_epoch[epoch] += indices
    alone, both = drawn(run(1)), drawn(ranks)
    common = alone.keys() & both.keys()
    assert len(common) >= 24
    assert all(alone[row] == both[row] for row in common)  # cropped and augmented as with one process
    for indices in per_epoch:
        new = [index for index in indices if index >= 6]
        assert len(set(new)) == len(new) == 8  # no new image twice; the ninth fell to drop_last
    assert per_epoch[0] != per_epoch[1]
    assert sorted(ranks[0][1] + ranks[1][1]) == [0, 1, 2, 3, 4]  # each validation image once


def test_the_demo_is_the_data_where_nothing_is_given(tmp_path: Path) -> None:
    settings = InspectionDemoSettings(
        original_train=5,
        new_train=6,
        original_val=2,
        new_val=2,
        original_test=2,
        new_test=2,
        size=64,
        cache_dir=str(tmp_path),
    )
    data = InspectionDataModule(demo=settings, batch_size=4, new_training="full")
    assert data.class_names == list(DEFECT_CLASSES)
    data.prepare_data()
    data.setup("fit")
    assert [len(data.images(split)) for split in ("train", "val", "test", "predict")] == [11, 4, 4, 6]
    assert train_batches(data)[0]["image"].shape == (4, 3, 64, 64)
