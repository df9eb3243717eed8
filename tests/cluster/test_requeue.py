"""A training on a real Slurm: asked to stop, out of time, and the same in the end as one that ran through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.cluster.jobs import CLI, EPOCHS, queued, rows, training, wait_for, weights
from tests.running import REPOSITORY


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
    one, other = (rows(folder) for folder in (tmp_path / "whole" / "version_0", run))
    assert one.keys() == other.keys()
    assert all(other[place] == pytest.approx(values, rel=1e-5, nan_ok=True) for place, values in one.items())
