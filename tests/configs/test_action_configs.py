"""Every shipped configuration of action recognition parses and runs: fit, test and annotate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import cli
from tests.configs.shipped import SMALL_CLIPS, config_options, configs_of, runs, tried
from tests.tables import csv_rows

TRAINING = [path for path in configs_of("action") if not path.name.startswith(("annotate", "kinetics"))]


def small_options(path: Path, tree: Path) -> list[str]:
    """The smallest network and data, keeping a configuration's own switches."""
    options = ["--model.init_args.backbone=test_efficientnet", "--model.init_args.pretrained=false"]
    options += ["--data.init_args.frame_size=32", "--data.init_args.batch_size=16"]
    options += ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1"]
    if path.name == "demo.yaml" or path.parent.name == "ablations":
        return [*options, *(f"--data.init_args.demo.{name}={value}" for name, value in SMALL_CLIPS.items())]
    return [*options, f"--data.init_args.root={tree}", "--data.init_args.frames_per_video=4"]


@pytest.mark.parametrize(("path", "fast"), runs(TRAINING))
def test_fit_test_and_annotate(path: Path, fast: bool, clip_tree: Path, tmp_path: Path) -> None:
    checkpoint = tried(tmp_path, fast, *config_options(path), *small_options(path, clip_tree))
    if checkpoint is None:
        return
    assert (checkpoint.parents[1] / "training_curves.png").is_file()
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["hyper_parameters"]
    assert saved["frame_size"] == 32
    source = next(clip_tree.rglob("*.mp4"))
    words = ["annotate", str(source), "--ckpt_path", str(checkpoint), "--output", str(tmp_path / "annotated")]
    assert cli.main([*words, "--trainer.accelerator=cpu", "--seconds=0.3", "--enter=0.01"]) == 0
    (row,) = csv_rows(tmp_path / "annotated" / "summary.csv")
    assert row["status"] == "ok"
    assert int(row["frames"]) == 10
    found = json.loads((tmp_path / "annotated" / "segments.json").read_text())["results"]
    (segments,) = found.values()
    assert {segment["label"] for segment in segments} <= set(saved["class_names"])
    assert segments
