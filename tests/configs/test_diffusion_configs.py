"""Every shipped configuration of diffusion parses and runs: fit, test and predict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

import cli
from tests.configs.shipped import CONFIGS, tried
from tests.tables import csv_rows

SMALL = [
    *(f"--data.init_args.demo.{split}={number}" for split, number in (("train", 24), ("val", 8), ("test", 8))),
    "--data.init_args.batch_size=8",
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=1",
    "--trainer.check_val_every_n_epoch=1",
]
NETWORK = [f"--model.init_args.{option}" for option in ("channels=[8,16]", "attention_levels=[1]", "sampling_steps=2")]


def config(name: str) -> list[str]:
    return ["--config", f"face_diffusion/{name}"]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tried(tmp_path_factory.mktemp("judge"), False, *config("judge"), *SMALL)
    assert checkpoint is not None
    return checkpoint


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tried(tmp_path_factory.mktemp("start"), False, *config("demo"), *NETWORK, *SMALL)
    assert checkpoint is not None
    return checkpoint


def tuning(judge: Path, start: Path, folder: Path) -> list[str]:
    """The shipped tuning with few samples and this judge."""
    callbacks = yaml.safe_load((CONFIGS / "face_diffusion" / "tune.yaml").read_text())["trainer"]["callbacks"]
    rounds = next(one for one in callbacks if one["class_path"] == "callbacks.RewardRounds")
    rounds["init_args"] |= {"samples": 12, "every": 2, "batch_size": 8}
    rounds["init_args"]["reward"]["init_args"]["judge"]["init_args"]["checkpoint"] = str(judge)
    (folder / "callbacks.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    weights = f"--model.init_args.weights={start}"
    return [
        *config("tune"),
        "--config",
        str(folder / "callbacks.yaml"),
        weights,
        *SMALL,
        "--model.init_args.sampling_steps=2",
    ]


@pytest.mark.parametrize("name", ["judge", "demo"])
def test_one_batch_of_a_training(name: str, tmp_path: Path) -> None:
    assert tried(tmp_path, True, *config(name), *(NETWORK if name == "demo" else []), *SMALL) is None


@pytest.mark.parametrize("fast", [True, False])
def test_tune_and_sample(judge: Path, start: Path, fast: bool, tmp_path: Path) -> None:
    checkpoint = tried(tmp_path, fast, *tuning(judge, start, tmp_path))
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
