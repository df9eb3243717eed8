"""Two processes on the CPU measure what one measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent


def measure(
    command: str, checkpoint: Path, devices: int, options: list[str], folder: Path, config: str = "video_quality/demo"
) -> dict[str, float]:
    """Metrics that ``command`` prints, by name."""
    arguments = [sys.executable, "cli.py", command, "--config", config, f"--ckpt_path={checkpoint}"]
    arguments += [f"--trainer.devices={devices}", f"--output={folder}", *options]
    if devices > 1:
        arguments.append("--trainer.strategy=ddp")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    words = [line.split() for line in done.stdout.splitlines() if line.startswith(("val/", "test/"))]
    assert len({word[0] for word in words}) == len(words), done.stdout  # each metric once
    return {name: float(value) for name, value in words}


@pytest.mark.parametrize("command", ["validate", "test"])
def test_two_processes_give_the_metrics_of_one(
    command: str, checkpoint: Path, small_demo: list[str], tmp_path: Path
) -> None:
    # 18 clips are no multiple of batches of 4 on two processes, so the sampler has to pad.
    one = measure(command, checkpoint, 1, small_demo, tmp_path / "one")
    two = measure(command, checkpoint, 2, small_demo, tmp_path / "two")
    assert one
    assert two == pytest.approx(one, rel=1e-6, nan_ok=True)


@pytest.mark.slow
def test_two_processes_give_the_metrics_of_frames_that_one_gives(
    recogniser: Path, clip_tree: Path, tmp_path: Path
) -> None:
    # 3 frames of each of 2 videos are no multiple of batches of 2 on two processes; a video lies in both of them.
    options = [f"--data.init_args.root={clip_tree}", "--data.init_args.frames_per_video=3", "--trainer.accelerator=cpu"]
    options += ["--data.init_args.batch_size=2", "--model.init_args.backbone=test_efficientnet"]
    options += ["--model.init_args.pretrained=false", "--data.init_args.frame_size=32"]
    one = measure("validate", recogniser, 1, options, tmp_path / "one", "action/finetune")
    two = measure("validate", recogniser, 2, options, tmp_path / "two", "action/finetune")
    assert {"val/loss", "val/accuracy", "val/balanced_accuracy", "val/video_accuracy"} <= set(one)
    assert two == pytest.approx(one, rel=1e-6)
