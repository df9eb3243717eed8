"""A training on a real Slurm: asked to stop, out of time, and the same in the end as one that ran through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.running import REPOSITORY

CLI = [sys.executable, str(REPOSITORY / "cli.py")]
EPOCHS = 40


def training(folder: Path) -> list[str]:
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
        "trainer.max_epochs": EPOCHS,
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


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 420.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} after {seconds:g} s")
        time.sleep(0.5)


def queued(job: int) -> bool:
    command = ["squeue", "--noheader", f"--job={job}"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())


@pytest.mark.cluster
@pytest.mark.usefixtures("slurm")
def test_a_job_that_is_queued_again_twice_ends_with_the_weights_of_one_that_ran_through(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    arguments = training(tmp_path)
    whole = [*CLI, "fit", *arguments, "--trainer.devices=2", f"--output={tmp_path / 'whole'}"]
    subprocess.run(whole, env=environment, cwd=tmp_path, check=True)
    step, expected = weights(tmp_path / "whole" / "version_0")
    assert step == 2 * EPOCHS

    configs, further = arguments[:2], arguments[2:]
    asked = ["--gpus-per-node=0", "--tasks-per-node=2", "--cpus-per-task=1", "--time=4:00", "--save-before=60"]
    command = [
        *CLI,
        "submit",
        *configs,
        *asked,
        f"--output={tmp_path / 'queued'}",
        "--",
        *further,
        "--trainer.devices=auto",
    ]
    told = subprocess.run(
        command, env={**environment, "PACE": "2.5"}, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    run = tmp_path / "queued" / "version_0"
    job = json.loads((run / "submit" / "job.json").read_text())["job"]
    assert f"job {job}" in told

    log = run / "job.log"
    wait_for("no step", lambda: log.is_file() and "epoch 1" in log.read_text())
    subprocess.run(["scancel", "--signal=USR1", str(job)], check=True)
    wait_for("not stopped by a signal", lambda: log.read_text().count("stopped by SIGUSR1") >= 1)
    wait_for("not stopped by the wall time", lambda: log.read_text().count("stopped by SIGUSR1") >= 2)
    wait_for("not done", lambda: not queued(job))
    sys.stdout.write(log.read_text())
    status = subprocess.run([*CLI, "status", str(run)], capture_output=True, text=True, check=True).stdout
    said = re.search(rf"step {2 * EPOCHS}, (\d) restarts, last saved .*\(last.ckpt\)", status)
    assert said is not None
    assert int(said[1]) >= 2  # a slow machine runs out of time once more
    step, found = weights(run)
    assert step == 2 * EPOCHS
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    rows = [(tmp_path / "whole" / "version_0" / "metrics.csv").read_text(), (run / "metrics.csv").read_text()]
    assert len(rows[0].splitlines()) == len(rows[1].splitlines())
