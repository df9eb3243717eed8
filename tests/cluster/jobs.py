"""A small training, and what the tests of Slurm ask about it."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.running import REPOSITORY

CLI = [sys.executable, str(REPOSITORY / "cli.py")]
EPOCHS = 40


def training(folder: Path, epochs: int = EPOCHS) -> list[str]:
    """Configuration and arguments of a small training in two processes on the CPU, 2 steps an epoch."""
    config = folder / "small.yaml"
    config.write_text(
        "trainer:\n  callbacks:\n  - class_path: callbacks.BestAndLast\n    init_args:\n      monitor: val/srcc\n"
        "      mode: max\n  - class_path: tests.cluster.pace.Pace\n"
    )
    options = {
        "data.init_args.demo.cache_dir": folder / "demo",
        "data.init_args.demo.sources": 6,
        "data.init_args.batch_size": 4,
        "trainer.max_epochs": epochs,
        "trainer.limit_train_batches": 2,
        "trainer.limit_val_batches": 1,
        "trainer.strategy": "ddp",
        "test_after_fit": "false",
    }
    return [
        "--config=video_quality/demo",
        f"--config={config}",
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def weights(run: Path) -> tuple[int, dict[str, torch.Tensor]]:
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return saved["global_step"], saved["state_dict"]


def rows(run: Path) -> dict[tuple[str, ...], list[float]]:
    """Values of ``metrics.csv`` by step and names."""
    with (run / "metrics.csv").open() as file:
        filled = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return {(row["step"], *sorted(row)): [float(row[name]) for name in sorted(row)] for row in filled}


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 420.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} after {seconds:g} s")
        time.sleep(0.5)


def queued(job: int) -> bool:
    command = ["squeue", "--noheader", f"--job={job}"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())
