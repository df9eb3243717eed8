"""A trial of a sweep on a real Slurm, by W&B's own agent: asked to stop, it goes on as the same trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.jobs import CLI, queued, training, wait_for, weights
from tests.running import REPOSITORY
from tests.sweep_server import NAME, sweep_server

EPOCHS = 10
RATE = "model.init_args.learning_rate"


@pytest.mark.cluster
@pytest.mark.usefixtures("slurm")
def test_a_trial_that_is_queued_again_goes_on_without_an_agent(tmp_path: Path) -> None:
    content = {
        "program": str(REPOSITORY / "cli.py"),
        "method": "random",
        "metric": {"name": "val/srcc", "goal": "maximize"},
        "parameters": {RATE: {"values": [0.001, 0.002]}},
        "command": ["${env}", "${interpreter}", "${program}", "fit", *training(tmp_path, EPOCHS),
                    "--trainer.devices=auto", "${args}"],
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PACE": "2.5"}
    environment.pop("WANDB_MODE", None)
    with sweep_server(content, [{RATE: 0.001}, {RATE: 0.002}]) as server:
        asked = ["--gpus-per-node=0", "--tasks-per-node=2", "--cpus-per-task=1", f"--output={tmp_path / 'swept'}"]
        command = [*CLI, "submit", f"--sweep={NAME}", *asked]
        subprocess.run(command, env=environment | server.environment, cwd=tmp_path, check=True)
        folder = tmp_path / "swept" / "version_0"
        job = json.loads((folder / "submit" / "job.json").read_text())["job"]
        log = folder / "trial_0.log"
        wait_for("no step", lambda: log.is_file() and "epoch 1" in log.read_text())
        subprocess.run(["scancel", "--signal=USR1", f"{job}_0"], check=True)
        wait_for("not done", lambda: not queued(job))
        sys.stdout.write(log.read_text())
        assert server.given == ["trial0"]
    step, _ = weights(folder / "trial_0")
    assert step == 2 * EPOCHS
    assert log.read_text().count("stopped by SIGUSR1") == 1
    assert "goes on from step" in log.read_text()
    assert f"--{RATE}=0.001" in (folder / "trial_0" / "trial.sh").read_text()
