"""Two processes on the CPU measure what one measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli

ROOT = Path(cli.__file__).parent


def measure(command: str, checkpoint: Path, devices: int, options: list[str], folder: Path) -> dict[str, float]:
    """Metrics that ``command`` prints, by name."""
    arguments = [sys.executable, "cli.py", command, "--config", "video_quality/demo", f"--ckpt_path={checkpoint}"]
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
