"""Every shipped part of a trainer's configuration parses with every method's demo, and trains where it can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cli
from lightning_modules.commands.front.config_files import config_names
from tests.running import REPOSITORY

PARTS = [name for name in config_names(parts=True) if name.startswith("_parts/trainer/")]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("config", ["video_quality/demo", "inspection/demo", "action/demo", "face_attributes/demo"])
def test_a_part_of_the_trainer_wins_over_the_demo(part: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", "--config", config, "--trainer", part, "--print_config"]) == 0
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    assert trainer["accelerator"] == ("cpu" if part.endswith("cpu") else "gpu")
    assert trainer["max_epochs"] > 1


def _parts() -> list[Any]:
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
    marks = {"cpu": [pytest.mark.slow], "ddp_cpu": [pytest.mark.slow]}  # what all tests do, and `front/test_run_record`
    return [pytest.param(name, marks=marks.get(name.rpartition("/")[2], [pytest.mark.gpu, missing])) for name in PARTS]


@pytest.mark.parametrize("part", _parts())
def test_a_part_of_the_trainer_trains(
    part: str, small_demo: list[str], smallest_network: list[str], tmp_path: Path
) -> None:
    options = ["--config", "video_quality/demo", "--trainer", part, *small_demo, *smallest_network]
    options += ["--trainer.limit_train_batches=2", "--trainer.max_epochs=1", f"--output={tmp_path}"]
    command = [sys.executable, "cli.py", "fit", *options, "--test_after_fit=false"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    saved = torch.load(tmp_path / "version_0" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] >= 1
