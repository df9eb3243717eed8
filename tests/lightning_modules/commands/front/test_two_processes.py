"""Two processes on the CPU share one run's folder, and only the first one speaks and writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_two_processes(repository: Path, workdir: Path) -> None:
    helpers = Path(__file__).parents[1] / "helpers"
    arguments = ["--model", "toy_parts.ToyModel", "--data", "toy_parts.ToyData", "--trainer.max_epochs", "1"]
    command = [sys.executable, str(repository / "cli.py"), "fit", *arguments, "--test_after_fit", "true"]
    done = subprocess.run(
        [*command, "--trainer", "_parts/trainer/ddp_cpu"],
        env={**os.environ, "PYTHONPATH": str(helpers), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (workdir / "runs/ToyModel").iterdir()] == ["version_0"]
    folder = workdir / "runs/ToyModel/version_0"
    assert {"config.yaml", "run.json", "checkpoints", "metrics.csv", "tensorboard"} <= {
        p.name for p in folder.iterdir()
    }
    assert len(list((folder / "checkpoints").iterdir())) == 1
    assert done.stdout.count("test/srcc 0.83") == 1
    assert done.stderr.count("epoch 0/0") == 1
