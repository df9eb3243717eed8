"""Every shipped configuration of action recognition parses and runs: fit, test and annotate."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

import cli

CONFIGS = Path(cli.__file__).parent / "configs"
ACTION = sorted(path for path in (CONFIGS / "action").rglob("*.yaml") if not path.name.startswith("kinetics"))
TRAINING = [path for path in ACTION if not path.name.startswith("annotate")]
SMALL_DEMO = {
    "clips": 8,
    "clip_seconds": 0.4,
    "width": 64,
    "height": 64,
    "untrimmed": 1,
    "untrimmed_pair": 1,
    "segments": 2,
}


def name_of(path: Path) -> str:
    return path.relative_to(CONFIGS).with_suffix("").as_posix()


def config_options(path: Path) -> list[str]:
    """The ``--config`` options of the command in the file's first line."""
    words = shlex.split(path.read_text().splitlines()[0].removeprefix("#"))
    return [word for at, word in enumerate(words) if word == "--config" or (at and words[at - 1] == "--config")]


@pytest.mark.parametrize("path", ACTION, ids=name_of)
def test_first_line_and_comments(path: Path, check_comments: Callable[[Path], None]) -> None:
    lines = path.read_text().splitlines()
    assert re.match(r"# python cli\.py (fit|annotate SOURCE) --", lines[0]), lines[0]
    assert name_of(path) in lines[0] or path.name.startswith("annotate")
    for option in config_options(path)[1::2]:
        assert (CONFIGS.parent / option).is_file() or (CONFIGS / f"{option}.yaml").is_file(), option
    check_comments(path)


def runs() -> list[Any]:
    """Every configuration, fast and real; those of single defects differ from the demo by a switch."""
    cases = []
    for path, fast in product(TRAINING, (True, False)):
        marks = [pytest.mark.slow] if path.parent.name == "ablations" and not fast else []
        cases.append(pytest.param(path, fast, id=f"{name_of(path)}-{'fast_dev_run' if fast else 'real'}", marks=marks))
    return cases


def small_options(path: Path, tree: Path) -> list[str]:
    """The smallest network and data, keeping a configuration's own switches."""
    options = ["--model.init_args.backbone=test_efficientnet", "--model.init_args.pretrained=false"]
    options += ["--data.init_args.frame_size=32", "--data.init_args.batch_size=16"]
    options += ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1"]
    if path.name == "demo.yaml" or path.parent.name == "ablations":
        return [*options, *(f"--data.init_args.demo.{name}={value}" for name, value in SMALL_DEMO.items())]
    return [*options, f"--data.init_args.root={tree}", "--data.init_args.frames_per_video=4"]


@pytest.mark.parametrize(("path", "fast"), runs())
def test_fit_test_and_annotate(
    path: Path, fast: bool, clip_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    common = [*config_options(path), *small_options(path, clip_tree), f"--output={tmp_path / 'run'}"]
    if fast:
        assert cli.main(["fit", *common, "--trainer.fast_dev_run=1", "--test_after_fit=false"]) == 0
        return
    assert cli.main(["fit", *common]) == 0
    checkpoint = next((tmp_path / "run").rglob("best.ckpt"))
    run = checkpoint.parents[1]
    assert (run / "run.json").is_file()
    assert (run / "training_curves.png").is_file()
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["hyper_parameters"]
    assert saved["frame_size"] == 32
    assert cli.main(["test", *common, f"--ckpt_path={checkpoint}"]) == 0
    source = next(clip_tree.rglob("*.mp4"))
    words = ["annotate", str(source), "--ckpt_path", str(checkpoint), "--output", str(tmp_path / "annotated")]
    assert cli.main([*words, "--trainer.accelerator=cpu", "--seconds=0.3", "--enter=0.01"]) == 0
    with (tmp_path / "annotated" / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["status"] == "ok"
    assert int(row["frames"]) == 10
    found = json.loads((tmp_path / "annotated" / "segments.json").read_text())["results"]
    (segments,) = found.values()
    assert {segment["label"] for segment in segments} <= set(saved["class_names"])
    assert segments
