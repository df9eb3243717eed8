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
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    words = [line.split() for line in done.stdout.splitlines() if line.startswith(("val/", "test/"))]
    assert len({word[0] for word in words}) == len(words), done.stdout  # each metric once
    return {name: float(value) for name, value in words}


@pytest.mark.parametrize("command", ["validate", "test"])
def test_two_processes_give_the_metrics_of_one(
    command: str, smallest_network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    # 7 sources of 6 clips, 3 of them for validation and test each: 18 is no multiple of batches of 4 on two processes.
    demo = '{"sources": 7, "frames": 8, "size": 64, "val_fraction": 0.43, "test_fraction": 0.43, "workers": 1}'
    data = [f"--data.init_args.demo={demo}", "--data.init_args.batch_size=4", "--data.init_args.clip_length=8"]
    fit = ["fit", "--config", "video_quality/demo", *data, *smallest_network, f"--output={tmp_path / 'fit'}"]
    assert cli.main([*fit, "--trainer.max_epochs=1", "--test_after_fit=false"]) == 0
    checkpoint = next((tmp_path / "fit").rglob("best.ckpt"))
    one = measure(command, checkpoint, 1, data, tmp_path / "one")
    two = measure(command, checkpoint, 2, data, tmp_path / "two")
    assert one
    assert two == pytest.approx(one, rel=1e-6, nan_ok=True)
