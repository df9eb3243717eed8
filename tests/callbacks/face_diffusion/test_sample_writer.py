"""Samples as pictures: named, listed, made once, and the same in batches of any size."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from callbacks.face_diffusion.sample_writer import SampleWriter
from datamodules import FaceDiffusionDataModule
from datamodules.common.errors import ConfigurationError
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.guidance import ShareGuidance
from lightning_modules.face_diffusion.rewards.bias import ShareReward
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored
from lightning_modules.face_diffusion.rewards.embedders import PixelEmbedder
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.face_diffusion.rewards.replication import ReplicationReward
from tests.tables import csv_rows


@pytest.fixture(scope="module")
def model() -> RewardTunedDiffusion:
    torch.manual_seed(0)
    return RewardTunedDiffusion(image_size=8, channels=(8, 16), attention_levels=(), sampling_steps=3, eta=0.5)


def predict(
    model: RewardTunedDiffusion, folder: Path, samples: int, batch_size: int = 4, seed: int = 0, **options: Any
) -> None:
    data = FaceDiffusionDataModule(image_size=8, samples=samples, batch_size=batch_size, sample_seed=seed)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[SampleWriter(str(folder), **options)]
    )
    trainer.predict(model, data, return_predictions=False)


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture).astype(int)


def test_more_of_the_same_keeps_what_is_there(model: RewardTunedDiffusion, tmp_path: Path) -> None:
    predict(model, tmp_path, 3)
    times = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("seed0_*.png")}
    predict(model, tmp_path, 6)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in times} == times
    rows = csv_rows(tmp_path / "samples.csv")
    assert [(row["file"], row["index"]) for row in rows] == [(f"seed0_{n:06d}.png", str(n)) for n in range(6)]
    predict(model, tmp_path, 6)  # nothing is left to make
    assert len(list(tmp_path.glob("seed0_*.png"))) == 6


def test_a_sample_is_the_same_in_any_batch_and_another_with_another_seed(
    model: RewardTunedDiffusion, tmp_path: Path
) -> None:
    for name, size, seed in (("one", 1, 0), ("five", 5, 0), ("other", 5, 1)):
        predict(model, tmp_path / name, 5, size, seed)
    for number in range(5):
        one, five = (pixels(tmp_path / name / f"seed0_{number:06d}.png") for name in ("one", "five"))
        assert np.abs(one - five).max() <= 1
        assert np.abs(one - pixels(tmp_path / "other" / f"seed1_{number:06d}.png")).max() > 1


def test_a_picture_of_other_weights_or_options_is_made_anew(model: RewardTunedDiffusion, tmp_path: Path) -> None:
    predict(model, tmp_path, 2)
    before = pixels(tmp_path / "seed0_000001.png")
    torch.manual_seed(7)
    other = RewardTunedDiffusion(image_size=8, channels=(8, 16), attention_levels=(), sampling_steps=3, eta=0.5)
    predict(other, tmp_path, 2)
    assert (pixels(tmp_path / "seed0_000001.png") != before).any()


def test_a_model_with_classes_is_asked_by_number_where_the_data_know_none(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = RewardTunedDiffusion(
        image_size=8, channels=(8, 16), attention_levels=(), sampling_steps=2, class_names=["cat", "dog"]
    )

    def asked(**options: Any) -> list[str]:
        data = FaceDiffusionDataModule(image_size=8, samples=3, **options)
        writer = SampleWriter(str(tmp_path))
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[writer])
        trainer.predict(model, data, return_predictions=False)
        return [row["class"] for row in csv_rows(tmp_path / "samples.csv")]

    assert asked() == ["cat", "dog", "cat"]
    before = pixels(tmp_path / "seed0_000000.png")
    assert asked(sample_class=1) == ["dog"] * 3
    assert (pixels(tmp_path / "seed0_000000.png") != before).any()
    with pytest.raises(ConfigurationError, match=r"class 7 is asked for; the model's classes are 0\.\.1"):
        asked(sample_class=7)


def test_a_model_without_classes_is_asked_for_none(model: RewardTunedDiffusion) -> None:
    with pytest.raises(ConfigurationError, match="classes are none: leave sample_class out"):
        model.labels_for(torch.arange(2), torch.tensor([-1, 0]))


class Red(Judge):
    """Says how red a picture is."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["red"]

    def forward(self, pictures: Tensor) -> Tensor:
        colours = pictures.float().mean(dim=(2, 3)) / 255
        return (20 * (colours[:, :1] - colours[:, 1:].mean(dim=1, keepdim=True))).sigmoid()


def test_accepted_samples_have_the_wanted_shares_and_the_others_are_put_away(
    model: RewardTunedDiffusion, tmp_path: Path
) -> None:
    predict(model, tmp_path / "all", 64, 64)
    reward = ShareReward(Red(), ["red"], target=0.05, form="ratio")
    for samples in (32, 64, 64):  # gone on with, then nothing is left to make
        predict(model, tmp_path / "kept", samples, 64, accept=reward)
    kept = [row["file"] for row in csv_rows(tmp_path / "kept" / "samples.csv")]
    away = sorted(file.name for file in (tmp_path / "kept" / "rejected").iterdir())
    assert sorted(kept) == sorted(file.name for file in (tmp_path / "kept").glob("seed*.png"))
    assert sorted([*kept, *away]) == sorted(file.name for file in (tmp_path / "all").glob("seed*.png"))
    every = torch.stack([torch.from_numpy(pixels(tmp_path / "all" / name)).permute(2, 0, 1) for name in kept + away])
    red = (Red()(every)[:, 0] > 0.5).float()
    assert red.mean() > 0.15
    ratio = torch.where(red > 0, 0.05 / red.mean(), 0.95 / (1 - red.mean()))
    assert len(kept) == pytest.approx(float(64 / ratio.max()), abs=12)
    assert red[: len(kept)].mean() < red.mean() - 0.05


class Learnt(Reward):
    """A network that says something else while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Dropout(1.0))

    def score(self, pictures: Tensor) -> Scored:
        said: Tensor = self.layer(torch.ones(len(pictures), 1))[:, 0].abs()
        assert not said.requires_grad
        return Scored(said)


def test_a_network_that_accepts_does_not_learn(model: RewardTunedDiffusion, tmp_path: Path) -> None:
    predict(model, tmp_path, 4, accept=Learnt())
    assert len(csv_rows(tmp_path / "samples.csv")) == 4


def test_samples_that_were_put_away_come_back_where_all_are_kept(model: RewardTunedDiffusion, tmp_path: Path) -> None:
    predict(model, tmp_path, 32, 32, accept=ShareReward(Red(), ["red"], target=0.05, form="ratio"))
    away = sorted(file.name for file in (tmp_path / "rejected").iterdir())
    predict(model, tmp_path, 32, 32)
    assert len(csv_rows(tmp_path / "samples.csv")) == len(list(tmp_path.glob("seed0_*.png"))) == 32
    assert away
    assert not (tmp_path / "rejected").exists()


def test_samples_are_compared_with_named_training_pictures_of_their_size_alone(
    model: RewardTunedDiffusion, tmp_path: Path
) -> None:
    reward = ReplicationReward(PixelEmbedder(8))
    with pytest.raises(ConfigurationError, match="nothing says which these are"):
        predict(model, tmp_path, 2, accept=reward)
    for side, words in ((32, r"samples of 8 pixels .* of 32: state --data\.init_args\.image_size 8"), (8, "")):
        demo = FaceDemoSettings(train=4, val=2, test=2)
        data = FaceDiffusionDataModule(image_size=side, samples=2, demo=demo)
        writer = SampleWriter(str(tmp_path), accept=reward)
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[writer])
        with pytest.raises(ConfigurationError, match=words) if words else nullcontext():
            trainer.predict(model, data, return_predictions=False)


def test_guided_samples_go_where_they_are_led(model: RewardTunedDiffusion, tmp_path: Path) -> None:
    predict(model, tmp_path / "led", 32, 8, guidance=ShareGuidance(Red(), ["red"], target=1.0, scale=3.0))
    predict(model, tmp_path / "free", 32, 8, guidance=ShareGuidance(Red(), ["red"], target=1.0, scale=0.0))
    assert model.guidance is None
    predict(model, tmp_path / "plain", 32, 8)
    led, free, plain = (
        np.stack([pixels(tmp_path / name / f"seed0_{number:06d}.png") for number in range(32)])
        for name in ("led", "free", "plain")
    )
    assert np.abs(free - plain).max() <= 1
    reds = [(values[..., 0] - values[..., 1:].mean(axis=-1)).mean() for values in (led, plain)]
    assert reds[0] > reds[1] + 5
