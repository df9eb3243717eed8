"""Every shipped configuration of diffusion parses and runs: fit, test and predict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

import cli
from tests.configs.shipped import CONFIGS, SMALL_DIFFUSION, SMALL_PICTURES, tried
from tests.tables import csv_rows


def config(name: str) -> list[str]:
    return ["--config", f"face_diffusion/{name}"]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tried(tmp_path_factory.mktemp("judge"), False, *config("judge"), *SMALL_PICTURES)
    assert checkpoint is not None
    return checkpoint


def tuning(judge: Path, diffusion_model: Path, folder: Path) -> list[str]:
    """The shipped tuning with few samples and this judge."""
    callbacks = yaml.safe_load((CONFIGS / "face_diffusion" / "tune.yaml").read_text())["trainer"]["callbacks"]
    rounds = next(one for one in callbacks if one["class_path"] == "callbacks.RewardRounds")
    rounds["init_args"] |= {"samples": 12, "every": 2, "batch_size": 8}
    rounds["init_args"]["reward"]["init_args"]["judge"]["init_args"]["checkpoint"] = str(judge)
    (folder / "callbacks.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    weights = f"--model.init_args.weights={diffusion_model}"
    return [
        *config("tune"),
        "--config",
        str(folder / "callbacks.yaml"),
        weights,
        *SMALL_PICTURES,
        "--model.init_args.sampling_steps=2",
    ]


@pytest.mark.parametrize("name", ["judge", "demo"])
def test_one_batch_of_a_training(name: str, tmp_path: Path) -> None:
    assert tried(tmp_path, True, *config(name), *(SMALL_DIFFUSION if name == "demo" else []), *SMALL_PICTURES) is None


@pytest.mark.parametrize("fast", [True, False])
def test_tune_and_sample(judge: Path, diffusion_model: Path, fast: bool, tmp_path: Path) -> None:
    checkpoint = tried(tmp_path, fast, *tuning(judge, diffusion_model, tmp_path))
    if checkpoint is None:
        return
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["hyper_parameters"]
    assert saved["unet"]["block_out_channels"] == [8, 16]
    assert len(list((checkpoint.parents[1] / "rounds").iterdir())) == 2
    words = ["predict", *config("sample"), f"--ckpt_path={checkpoint}", "--data.init_args.samples=5"]
    words += ["--model.init_args.sampling_steps=2", "--trainer.accelerator=cpu", f"--output={tmp_path / 'made'}"]
    assert cli.main(words) == 0
    rows = csv_rows(tmp_path / "made" / "samples.csv")
    assert [row["index"] for row in rows] == [str(number) for number in range(5)]
    with Image.open(tmp_path / "made" / rows[3]["file"]) as picture:
        assert picture.size == (16, 16)
        assert (picture.info["seed"], picture.info["index"]) == ("0", "3")
