"""A head that trains on stored features of a frozen backbone learns what it learns with the backbone in the loop."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from callbacks.action.classification_report import ClassificationReport
from callbacks.training import feature_cache
from callbacks.training.feature_cache import FeatureCache
from callbacks.training.feature_shards import FeatureFolder, ShardWriter
from datamodules.action.datamodule import ActionDataModule
from datamodules.action.frames.augmentation import ActionAugmentation
from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.action.module import FrameAveragingActionRecognizer
from tests.forks import forks
from tests.running import quiet_trainer

SIDE = 32
CLASSES = ["cooking", "drinking", "idle"]
SIZES = {"train": 4, "val": 2, "test": 2}  # videos of each class
STILL = ActionAugmentation(rotation=0, zoom=0, shift=0, shear=0, flip=False)
VIEW0 = ["test.view0.safetensors", "train.view0.safetensors", "val.view0.safetensors"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a split and class with videos of three frames; each class has a colour of its own, and noise."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for split, number in SIZES.items():
        for place, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for video in range(number):
                for frame in range(3):
                    pixels = random.integers(0, 160, (SIDE, SIDE, 3), dtype=np.uint8)
                    pixels[..., place] += 80
                    Image.fromarray(pixels).save(folder / f"{split}{video}_{frame:02d}.png")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_data(pictures: Path, augmentation: ActionAugmentation = STILL, **options: Any) -> ActionDataModule:
    settings: dict[str, Any] = {"batch_size": 8, **options}
    return ActionDataModule(
        str(pictures), label_format="frames", frame_size=SIDE, augmentation=augmentation, **settings
    )


def make_model(seed: int = 0, **options: Any) -> FrameAveragingActionRecognizer:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"train_backbone": "none", "learning_rate": 0.02, "schedule": "constant"}
    settings |= {"class_names": CLASSES, **options}
    return FrameAveragingActionRecognizer(frame_size=SIDE, backbone="test_resnet", **settings)


def make_trainer(folder: Path, *callbacks: Callback, epochs: int = 2, **options: Any) -> L.Trainer:
    return quiet_trainer(folder, *callbacks, max_epochs=epochs, use_distributed_sampler=False, **options)


class Spy(Callback):
    """Keeps what the training batches held, epoch by epoch."""

    def __init__(self) -> None:
        self.batches: dict[int, list[dict[str, Any]]] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        self.batches.setdefault(trainer.current_epoch, []).append(batch)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Number of frames of each pass through the backbone."""
    seen: list[int] = []
    original = FrameAveragingActionRecognizer.frame_features

    def counted(self: FrameAveragingActionRecognizer, frames: Tensor) -> Tensor:
        seen.append(len(frames))
        return original(self, frames)

    monkeypatch.setattr(FrameAveragingActionRecognizer, "frame_features", counted)
    return seen


def train(folder: Path, data: ActionDataModule, *callbacks: Callback, epochs: int = 2, **options: Any) -> Any:
    model = make_model(**options)
    trainer = make_trainer(folder, *callbacks, epochs=epochs)
    trainer.fit(model, datamodule=data)
    return model, {name: float(value) for name, value in trainer.callback_metrics.items()}


def assert_same(first: Any, second: Any) -> None:
    for (name, own), other in zip(first[0].state_dict().items(), second[0].state_dict().values(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    assert first[1] == pytest.approx(second[1], rel=1e-4, abs=1e-6)


def folders_of(cache: Path) -> list[Path]:
    return [path for path in (cache / "action_features").iterdir() if path.is_dir()]


def said_anew(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "anew" in record.getMessage()]


def test_features_train_what_frames_train(pictures: Path, tmp_path: Path, passes: list[int]) -> None:
    spy = Spy()
    cached = train(tmp_path, make_data(pictures), FeatureCache(), spy, epochs=3)
    assert sum(passes) == 3 * 3 * sum(SIZES.values())  # each frame once, not once an epoch
    assert all("features" in batch and "frames" not in batch for batch in spy.batches[2])
    assert_same(cached, train(tmp_path, make_data(pictures), epochs=3))


def test_augmented_views_are_those_of_the_epochs(pictures: Path, tmp_path: Path) -> None:
    turned = ActionAugmentation()
    cached = train(tmp_path, make_data(pictures, turned), FeatureCache(views=2))
    assert_same(cached, train(tmp_path, make_data(pictures, turned)))


@pytest.mark.parametrize("options", [{"schedule": "cosine"}, {"class_weighting": "balanced"}])
def test_a_schedule_or_weights_that_look_at_the_data_first(
    options: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    spy = Spy()
    train(tmp_path, make_data(pictures), FeatureCache(), spy, **options)
    assert all("features" in batch for batch in spy.batches[0])


def test_each_epoch_reads_its_view_and_so_does_a_resumed_one(pictures: Path, tmp_path: Path) -> None:
    data = make_data(pictures, ActionAugmentation())
    spy, model = Spy(), make_model()
    trainer = make_trainer(tmp_path, FeatureCache(str(tmp_path / "features"), views=2), spy, epochs=3)
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(tmp_path / "three.ckpt")
    later = Spy()
    resumed = make_trainer(tmp_path, FeatureCache(str(tmp_path / "features"), views=2), later, epochs=5)
    resumed.fit(
        make_model(), datamodule=make_data(pictures, ActionAugmentation()), ckpt_path=tmp_path / "three.ckpt",
        weights_only=True,
    )  # fmt: skip
    assert list(later.batches) == [3, 4]
    views = [load_file(tmp_path / "features" / f"train.view{view}.safetensors")["features"] for view in range(2)]
    assert not torch.equal(views[0], views[1])
    for epoch, batches in (spy.batches | later.batches).items():
        for batch in batches:
            assert torch.equal(batch["features"], views[epoch % 2][batch["index"]])


def test_features_are_used_again(
    pictures: Path, tmp_path: Path, cache: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = train(tmp_path, make_data(pictures), FeatureCache())
    passes.clear()
    again = train(tmp_path, make_data(pictures, batch_size=5), FeatureCache(), seed=0)
    assert passes == []
    assert "anew" not in caplog.text
    (folder,) = folders_of(cache)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == VIEW0
    assert first[1].keys() == again[1].keys()
    assert folder.name.startswith("test_resnet-")
    # Other weights take the same folder, and the log says why.
    train(tmp_path, make_data(pictures), FeatureCache(), seed=1, epochs=1)
    assert f"features in {folder} are computed anew: the backbone's weights or the preprocessing changed" in caplog.text
    assert folders_of(cache) == [folder]
    # Other data have a folder of their own.
    train(tmp_path, make_data(pictures, classes=CLASSES[:2]), FeatureCache(), epochs=1, class_names=CLASSES[:2])
    assert len(folders_of(cache)) == 2


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{", encoding="utf-8")


def cut_shard(folder: Path) -> None:
    path = folder / "val.view0.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], Any, str, int]] = {
    # what differs: model, data and cache options, what is done to the folder, the reason, frames computed anew
    "backbone": ({"seed": 1}, {}, {}, None, "the backbone's weights or the preprocessing changed", 72),
    "preprocessing": (
        {"preprocessing": "legacy"}, {}, {}, None, "the preprocessing changed (normalised, now legacy)", 72,
    ),
    "data": ({}, {"classes": CLASSES[:2]}, {}, None, "the videos, their frames or their splits changed", 48),
    "unused seed": ({}, {"seed": 3}, {}, None, "", 0),
    "unused augmentation": ({}, {"augmentation": ActionAugmentation()}, {}, None, "", 0),
    "views": ({}, {}, {"views": 2}, None, "the number of augmented views changed (0, now 2)", 72),
    "dtype": ({}, {}, {"dtype": "float16"}, None, "the number format changed (float32, now float16)", 72),
    "manifest": ({}, {}, {}, break_manifest, "manifest.json is missing or cannot be read", 72),
    "nothing": ({}, {}, {}, None, "", 0),
    "shard": ({}, {}, {}, cut_shard, "", 18),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_features_that_do_not_fit_are_computed_anew(
    change: str, pictures: Path, tmp_path: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    model, data, options, spoil, reason, frames = CHANGES[change]
    folder = tmp_path / "features"
    train(tmp_path, make_data(pictures), FeatureCache(str(folder)), epochs=1)
    if spoil is not None:
        spoil(folder)
    caplog.set_level(logging.INFO, logger="callbacks")
    caplog.clear()
    passes.clear()
    if "classes" in data:
        model = {"class_names": CLASSES[:2]}
    cached = FeatureCache(str(folder), **options)
    fitted, _ = train(tmp_path, make_data(pictures, **data), cached, epochs=1, **model)
    which = "training features" if change == "views" else "features"
    assert said_anew(caplog) == ([f"{which} in {folder} are computed anew: {reason}"] if reason else [])
    assert sum(passes) == frames
    assert fitted.current_epoch == 1
    stored = load_file(folder / "train.view0.safetensors")["features"]
    assert stored.dtype == (torch.float16 if options.get("dtype") else torch.float32)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"seed": 3}, "the seed of the augmentation changed (0, now 3)"),
        ({"augmentation": ActionAugmentation(rotation=20)}, "rotation of the augmentation changed (30.0, now 20)"),
    ],
)
def test_another_augmentation_makes_the_training_features_anew(
    changed: dict[str, Any], reason: str, pictures: Path, tmp_path: Path, cache: Path, passes: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, logger="callbacks")
    options: dict[str, Any] = {"augmentation": ActionAugmentation()}
    train(tmp_path, make_data(pictures, **options), FeatureCache(views=1), epochs=1)
    passes.clear()
    train(tmp_path, make_data(pictures, **options | changed), FeatureCache(views=1), epochs=1)
    (folder,) = folders_of(cache)
    assert said_anew(caplog) == [f"training features in {folder} are computed anew: {reason}"]
    assert sum(passes) == 3 * 3 * SIZES["train"]  # val and test are never augmented


def test_features_of_an_older_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="callbacks")
    facts = {"version": 1, "data": "a", "views": 0}
    (tmp_path / "manifest.json").write_text(json.dumps({"facts": facts, "shards": {}}), encoding="utf-8")
    FeatureFolder(tmp_path, {"data": "b"}, {"views": 0}).open()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("are computed anew: they were written by another version (1, now 2)")


def test_features_that_another_run_replaced(pictures: Path, tmp_path: Path) -> None:
    model, data = make_model(), make_data(pictures)
    trainer = make_trainer(tmp_path, FeatureCache(str(tmp_path / "features")))
    trainer.fit(model, datamodule=data)
    train(tmp_path, make_data(pictures), FeatureCache(str(tmp_path / "features")), seed=1, epochs=1)
    with pytest.raises(ConfigurationError, match="replaced by another run"):
        trainer.test(model, datamodule=data, verbose=False)


def test_a_stopped_run_goes_on_after_the_last_whole_file(
    pictures: Path, tmp_path: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FrameAveragingActionRecognizer.frame_features

    def stops(self: FrameAveragingActionRecognizer, frames: Tensor) -> Tensor:
        if sum(passes) >= 40:
            raise KeyboardInterrupt
        return original(self, frames)

    folder = tmp_path / "features"
    with monkeypatch.context() as patch:
        patch.setattr(FrameAveragingActionRecognizer, "frame_features", stops)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(tmp_path, make_data(pictures), FeatureCache(str(folder)))
    assert [path.name for path in folder.glob("*.safetensors")] == ["train.view0.safetensors"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    passes.clear()
    train(tmp_path, make_data(pictures), FeatureCache(str(folder)))
    assert sum(passes) == 3 * 3 * (SIZES["val"] + SIZES["test"])


def test_float16_is_close(pictures: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "float16"):
        train(tmp_path, make_data(pictures), FeatureCache(str(tmp_path / dtype), dtype=dtype), epochs=1)
    exact, rounded = (load_file(tmp_path / dtype / VIEW0[1])["features"] for dtype in ("float32", "float16"))
    assert rounded.dtype == torch.float16
    torch.testing.assert_close(rounded.float(), exact, rtol=1e-3, atol=1e-4)


def test_the_test_after_the_training(pictures: Path, tmp_path: Path) -> None:
    model, data = make_model(), make_data(pictures)
    trainer = make_trainer(tmp_path, FeatureCache())
    trainer.fit(model, datamodule=data)
    (features,) = trainer.test(model, datamodule=data, verbose=False)
    (frames,) = make_trainer(tmp_path).test(model, datamodule=make_data(pictures), verbose=False)
    assert features == pytest.approx(frames, rel=1e-4)
    with pytest.raises(CheckpointError, match="not the one whose features"):
        trainer.test(make_model(seed=1), datamodule=data, verbose=False)


def test_data_without_a_test_split(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "pictures", ignore=shutil.ignore_patterns("test"))
    train(tmp_path, make_data(tmp_path / "pictures"), FeatureCache(str(tmp_path / "features")), epochs=1)
    assert load_file(tmp_path / "features" / "test.view0.safetensors")["features"].numel() == 0


def test_a_trial_run_stores_nothing(pictures: Path, tmp_path: Path, cache: Path, passes: list[int]) -> None:
    make_trainer(tmp_path, FeatureCache(), fast_dev_run=True).fit(make_model(), datamodule=make_data(pictures))
    assert passes == []
    assert not (cache / "action_features").exists()


def test_the_modes_of_the_model_stay(pictures: Path, tmp_path: Path) -> None:
    class Modes(Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            self.modes = [part.training for part in pl_module.modules()]

    with_cache, without = Modes(), Modes()
    train(tmp_path, make_data(pictures), FeatureCache(), with_cache, epochs=1)
    train(tmp_path, make_data(pictures), without, epochs=1)
    assert with_cache.modes == without.modes


def test_a_backbone_that_is_frozen_on_purpose_is_not_warned_of(pictures: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make_trainer(tmp_path, epochs=1).fit(make_model(), datamodule=make_data(pictures))
    assert not [str(one.message) for one in seen if "eval mode" in str(one.message)]


def test_what_cannot_work_says_so(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="views is -1"):
        FeatureCache(views=-1)
    with pytest.raises(ConfigurationError, match="set train_backbone to none"):
        train(tmp_path, make_data(pictures), FeatureCache(), train_backbone="all")
    with pytest.raises(ConfigurationError, match="cannot work with Other"):
        feature_cache.frozen_model(type("Other", (L.LightningModule,), {})())
    with pytest.raises(ConfigurationError, match="cannot work with NoneType as the data"):
        feature_cache.frame_data(make_trainer(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be kept in .*APPRAISE_CACHE"):
        train(tmp_path, make_data(pictures), FeatureCache(str(tmp_path / "file")))
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=0))
    with pytest.raises(ConfigurationError, match="0 MB are free"):
        train(tmp_path, make_data(pictures), FeatureCache())


def test_rows_out_of_order_are_refused() -> None:
    batches = [{"frames": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "index": torch.tensor([1, 0])}]
    with pytest.raises(ConfigurationError, match="in order"):
        list(feature_cache.shown(batches, torch.device("cpu"), None, None))  # type: ignore[arg-type]  # asked for views alone


def test_files_are_safetensors(tmp_path: Path) -> None:
    numbers = torch.randn(7, 5)
    with ShardWriter(tmp_path / "a.safetensors", 7, 5, "float32") as writer:
        writer.add(numbers[:3])
        writer.add(numbers[3:])
    assert torch.equal(load_file(tmp_path / "a.safetensors")["features"], numbers)
    with ShardWriter(tmp_path / "empty.safetensors", 0, 0, "float32"):
        pass
    assert load_file(tmp_path / "empty.safetensors")["features"].shape == (0, 0)
    writer = ShardWriter(tmp_path / "b.safetensors", 4, 5, "float32")
    writer.add(numbers[:3])
    with pytest.raises(ValueError, match="3 rows of features were written, but 4 announced"), writer:
        pass
    with pytest.raises(ValueError, match="do not fit"), ShardWriter(tmp_path / "c", 2, 4, "float32") as writer:
        writer.add(numbers[:2])


def fit_and_test_in_two(folder: Path, pictures: Path) -> None:
    """Train and test in two processes that count the frames that pass the backbone."""
    original = FrameAveragingActionRecognizer.frame_features

    def counted(self: FrameAveragingActionRecognizer, frames: Tensor) -> Tensor:
        with (folder / "passes.txt").open("a") as stream:
            stream.write(f"{self.global_rank} {len(frames)}\n")
        return original(self, frames)

    FrameAveragingActionRecognizer.frame_features = counted
    torch.set_num_threads(1)
    used = [FeatureCache(str(folder / "features")), ClassificationReport(figures=False)]
    trainer = make_trainer(folder, *used, devices=2, strategy="ddp_fork")
    model, data = make_model(), make_data(pictures, batch_size=5)
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)


def test_the_first_process_computes_and_the_others_wait(pictures: Path, tmp_path: Path) -> None:
    launcher = forks().Process(target=fit_and_test_in_two, args=(tmp_path, pictures))
    launcher.start()
    launcher.join(240)
    assert launcher.exitcode == 0
    passes = [line.split() for line in (tmp_path / "passes.txt").read_text().splitlines()]
    assert {rank for rank, _ in passes} == {"0"}
    assert sum(int(frames) for _, frames in passes) == 72
    assert set(json.loads((tmp_path / "features" / "manifest.json").read_text())["shards"]) == {
        "train.view0", "val.view0", "test.view0",
    }  # fmt: skip
    report = json.loads((tmp_path / "classification_report.json").read_text())
    assert np.sum(report["confusion"], axis=1).tolist() == [6, 6, 6]  # each frame once


def test_a_disk_with_too_little_room_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=0))
    advanced: list[int] = []
    with pytest.raises(OSError, match="MB are needed"):
        feature_cache.write_shard(tmp_path / "a", iter([torch.ones(2, 3)]), 2, "float32", advanced.append)
    assert not advanced
    assert list(tmp_path.iterdir()) == []
