"""Samples as pictures: named, listed, made once, and the same in batches of any size."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from callbacks.face_diffusion.sample_writer import SampleWriter
from datamodules import FaceDiffusionDataModule
from lightning_modules import RewardTunedDiffusion
from tests.tables import csv_rows


@pytest.fixture(scope="module")
def model() -> RewardTunedDiffusion:
    torch.manual_seed(0)
    return RewardTunedDiffusion(image_size=8, channels=(8, 16), attention_levels=(), sampling_steps=3, eta=0.5)


def predict(model: RewardTunedDiffusion, folder: Path, samples: int, batch_size: int = 4, seed: int = 0) -> None:
    data = FaceDiffusionDataModule(image_size=8, samples=samples, batch_size=batch_size, sample_seed=seed)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[SampleWriter(str(folder))]
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
