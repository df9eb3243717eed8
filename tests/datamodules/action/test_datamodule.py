"""The data module of action recognition: splits, batches, augmentation, cached features and streams."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datamodules.action.batch import ActionBatch
from datamodules.action.datamodule import ActionDataModule
from datamodules.action.demo.settings import ActionDemoSettings
from datamodules.action.frames.augmentation import ActionAugmentation
from datamodules.action.frames.balanced_sampler import BalancedSampler
from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.common.errors import ConfigurationError, LabelError
from tests.datamodules.samples import Watcher
from tests.running import quiet_trainer

MakeClip = Callable[..., Path]
SIZE = 16
STILL = ActionAugmentation(rotation=0, zoom=0, shift=0, shear=0, flip=False)
CLASSES = {"cooking": 4, "drinking": 6}


@pytest.fixture(scope="module")
def root(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten short clips of two classes, each class with pictures of its own."""
    folder = tmp_path_factory.mktemp("classes")
    for phase, (name, count) in enumerate(CLASSES.items()):
        for number in range(count):
            clip = make_clip(f"{name}{number}.mp4", frames=8, height=32, width=48, phase=phase + number / 5)
            (folder / name).mkdir(exist_ok=True)
            shutil.copy(clip, folder / name / clip.name)
    return folder


def module(root: Path | None, **options: object) -> ActionDataModule:
    settings: dict[str, object] = {
        "root": None if root is None else str(root),
        "frame_size": SIZE,
        "frames_per_video": 4,
        "batch_size": 8,
        **options,
    }
    return ActionDataModule(**settings)  # type: ignore[arg-type]  # varied


def labelled(root: Path) -> LabelledFrames:
    """The frames of :func:`module`, as they are stored."""
    return LabelledFrames(ActionFrameSettings(root=str(root), frame_size=SIZE, frames_per_video=4))


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*is smaller than the logging interval")
def test_training_sees_every_frame_once_an_epoch(root: Path) -> None:
    data, watcher = module(root), Watcher[ActionBatch]()
    quiet_trainer(None, max_epochs=2).fit(watcher, data)
    epochs = [[b for name, e, b in watcher.seen if name == "train" and e == epoch] for epoch in (0, 1)]
    orders = [torch.cat([batch["index"] for batch in own]).tolist() for own in epochs]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(len(data.rows("train"))))
    assert orders[0] != orders[1]
    first = epochs[0][0]
    assert first["frames"].dtype == torch.uint8
    assert first["frames"].shape == (8, 3, SIZE, SIZE)
    assert first["valid"].all()
    assert first["time"].dtype == torch.float64
    assert first["video"][0] == data.rows("train").videos[int(first["video_index"][0])]
    names = data.class_names
    assert names == ["cooking", "drinking"]
    assert [names[label] for label in first["label"]] == [video.split("/")[0] for video in first["video"]]
    assert data.class_counts == [12 - 4, 24 - 8]


def test_a_video_is_in_one_split_alone(root: Path) -> None:
    data = module(root)
    videos = [set(data.rows(split).videos) for split in ("train", "val", "test")]
    assert all(a.isdisjoint(b) for a, b in combinations(videos, 2))
    assert sum(map(len, videos)) == 10


def test_legacy_split(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = module(root, split=(0.75, 0.0, 0.25), split_by="frame", val_is_test=True)
    data.setup("fit")
    assert "split_by is frame" in caplog.text
    assert "val_is_test is on" in caplog.text
    assert set(data.rows("train").videos) & set(data.rows("val").videos)
    assert data.rows("val").stored.tolist() == data.rows("test").stored.tolist()
    assert (len(data.rows("train")), len(data.rows("test"))) == (30, 10)
    assert not set(data.rows("train").stored.tolist()) & set(data.rows("test").stored.tolist())


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*is smaller than the logging interval")
def test_only_training_is_augmented_and_repeats(root: Path) -> None:
    runs = []
    for _ in range(2):
        data, watcher = module(root), Watcher[ActionBatch]()
        runner = quiet_trainer(None, max_epochs=2)
        runner.fit(watcher, data)
        runner.test(watcher, data, verbose=False)
        runs.append(watcher)
    for (_, _, one), (_, _, two) in zip(runs[0].seen, runs[1].seen, strict=True):
        assert torch.equal(one["frames"], two["frames"])
    store = labelled(root).store()
    for stage in ("val", "test"):
        for batch in runs[0].of(stage):
            kept = store.frames[data.rows(stage).stored[batch["index"].numpy()]]  # type: ignore[arg-type]
            assert np.array_equal(batch["frames"].numpy(), kept)
    view = {int(i): f for b in data.frame_batches("train", 1) for i, f in zip(b["index"], b["frames"], strict=True)}
    for name, epoch, batch in runs[0].seen:
        if name == "train" and epoch == 1:
            assert all(torch.equal(f, view[int(i)]) for i, f in zip(batch["index"], batch["frames"], strict=True))
    plain = next(iter(data.frame_batches("train")))
    assert plain["index"].tolist() == list(range(8))
    assert torch.equal(data.augment_view(plain["frames"], plain["index"], 1)[3], view[3])
    assert not torch.equal(plain["frames"][3], view[3])


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*is smaller than the logging interval")
def test_cached_features_take_the_place_of_frames(root: Path, tmp_path: Path) -> None:
    data, watcher = module(root), Watcher[ActionBatch]()
    for split in ("train", "val", "test"):
        count = len(data.rows(split))
        for view in range(2 if split == "train" else 1):
            rows = torch.arange(count, dtype=torch.float32)[:, None] + 1000 * view
            save_file({"features": rows.half()}, tmp_path / f"{split}.view{view}.safetensors")
    data.use_features(tmp_path)
    quiet_trainer(None, max_epochs=3).fit(watcher, data)
    for name, epoch, batch in watcher.seen:
        assert "frames" not in batch
        assert batch["features"].dtype == torch.float32
        expected = batch["index"].float() + (1000 * (epoch % 2) if name == "train" else 0)
        assert torch.equal(batch["features"][:, 0], expected.half().float())
    save_file({"features": torch.zeros(3, 1)}, tmp_path / "train.view0.safetensors")
    with pytest.raises(ConfigurationError, match="holds 3 rows, the train split 24"):
        data.train_dataloader()
    data.use_features(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match=r"no train.view0.safetensors"):
        data.train_dataloader()


def test_fingerprint_changes_with_the_data(root: Path) -> None:
    options = {"frame_size": 20, "split_seed": 1, "classes": ["drinking"]}
    names = [module(root).data_fingerprint(), *(module(root, **{k: v}).data_fingerprint() for k, v in options.items())]
    assert len(set(names)) == 4
    assert names[0] == module(root).data_fingerprint()


def test_augmentation_is_told_apart_from_the_data(root: Path) -> None:
    base, seeded, still = module(root), module(root, seed=1), module(root, augmentation=STILL)
    assert base.data_fingerprint() == seeded.data_fingerprint() == still.data_fingerprint()
    assert seeded.view_facts() == {**base.view_facts(), "seed": 1}
    assert still.view_facts() != base.view_facts()


def test_balanced_sampling(root: Path) -> None:
    data = module(root, class_balance="sampler")
    batches = list(data.train_dataloader())
    labels = torch.cat([batch["label"] for batch in batches]).tolist()
    assert Counter(labels) == {0: 12, 1: 12}
    counts = [8, 16]
    assert data.class_counts == counts


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_balanced_sampler_on_several_processes(ranks: int) -> None:
    labels = np.repeat(np.array([0, 1, 2]), [5, 20, 75])
    samplers = [BalancedSampler(labels, seed=1, num_replicas=ranks, rank=rank) for rank in range(ranks)]
    drawn = [[sample.index for sample in sampler] for sampler in samplers]
    assert {len(own) for own in drawn} == {-(-100 // ranks)}
    assert max(Counter(labels[[row for own in drawn for row in own]]).values()) <= 34
    for sampler in samplers:
        sampler.set_epoch(1)
    assert [sample.index for sample in samplers[0]] != drawn[0]


def test_a_class_without_training_frames(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("video,class,split\ncooking/cooking0.mp4,cooking,train\ndrinking/drinking0.mp4,drinking,val\n")
    data = module(root, labels=str(path))
    data.setup("validate")
    with pytest.raises(LabelError, match="no example of drinking is in the train split"):
        data.setup("fit")
    with pytest.raises(ConfigurationError, match="no frame in the test split"):
        data.test_dataloader()


def test_a_class_that_validation_lacks_is_named_once(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["cooking/cooking0.mp4,cooking,train", "drinking/drinking0.mp4,drinking,train"]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["video,class,split", *rows, "cooking/cooking1.mp4,cooking,val"]))
    caplog.set_level("WARNING")
    module(root, labels=str(path)).setup("fit")
    assert caplog.text.count("of drinking is in the val split") == 1


def test_unreadable_videos_are_counted_again(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(root, tmp_path / "videos")
    (tmp_path / "videos" / "cooking" / "broken.mp4").write_bytes(b"no video")
    module(tmp_path / "videos").setup("fit")
    assert "skipped: " in caplog.text
    caplog.clear()
    data = module(tmp_path / "videos")
    data.setup("fit")
    assert "1 file(s) cannot be read and are left out, such as" in caplog.text
    assert "broken.mp4" in caplog.text
    assert sum(len(data.rows(split)) for split in ("train", "val", "test")) == 40


def test_order_of_the_class_names_is_the_given_one(root: Path) -> None:
    names = ["drinking", "reading", "cooking"]
    data = module(root, class_names=names)
    assert data.class_names == names
    assert data.class_counts == [16, 0, 8]


def test_demo_names_are_known_before_it_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path))
    names = ActionDataModule(classes=["idle", "waving"]).class_names
    assert names == ["idle", "waving"]
    assert not list(tmp_path.iterdir())
    assert ActionDataModule(path="a.mp4").class_names is None
    with pytest.raises(ConfigurationError, match="which is annotated, not learned from"):
        ActionDataModule(path="a.mp4").setup("fit")


def test_demo() -> None:
    demo = ActionDemoSettings(
        seed=100, clips=3, clip_seconds=0.4, width=64, height=64, untrimmed=1, untrimmed_pair=0, segments=1,
        shortest_segment=0.5, longest_segment=0.6,
    )  # fmt: skip
    data = ActionDataModule(frame_size=SIZE, demo=demo, frames_per_video=2, classes=["idle", "waving"], rate=10.0)
    data.prepare_data()
    data.setup("fit")
    assert data.class_counts == [2, 2]
    chunks = list(data.predict_dataloader())
    assert chunks[-1]["is_last"]
    assert chunks[0]["frames"].shape[1:] == (3, SIZE, SIZE)
    assert "source" not in chunks[0]
    data.with_source = True
    assert "source" in next(iter(data.predict_dataloader()))


def test_stream_of_the_test_split_and_of_paths(root: Path) -> None:
    data = module(root, chunk_frames=4)
    chunks = list(data.predict_dataloader())
    assert sorted({chunk["info"]["path"] for chunk in chunks}) == labelled(root).test_paths()
    assert {len(chunk["frames"]) for chunk in chunks} == {4}
    data = module(root, path=[str(root / "cooking"), str(root / "drinking" / "drinking0.mp4")])
    data.exclude([root / "cooking" / "cooking1.mp4"])
    names = [Path(chunk["info"]["path"]).name for chunk in data.predict_dataloader()]
    assert names == ["cooking0.mp4", "cooking2.mp4", "cooking3.mp4", "drinking0.mp4"]
    assert data.stream is not None
