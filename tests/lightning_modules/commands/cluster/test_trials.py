"""Trials of a sweep as jobs, with W&B's own client and agent on a server of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import cli
from tests.running import REPOSITORY
from tests.sweep_server import NAME, SweepServer, sweep_server

SWEEP = yaml.safe_load((REPOSITORY / "configs" / "sweeps" / "ksvqe.yaml").read_text())
RATE = "model.init_args.learning_rate"


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweepServer]:
    """A server with two points left."""
    content = {**SWEEP, "program": str(REPOSITORY / "cli.py")}
    # As a sweep that was made elsewhere, for any number of devices.
    words = [word.replace("configs/", f"{REPOSITORY}/configs/") for word in content["command"]]
    content["command"] = [*words[:-1], "--trainer.devices=auto", "--trainer.accelerator=gpu", words[-1]]
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with sweep_server(content, [{RATE: 0.5}, {RATE: 0.25}]) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def submit(*words: str) -> int:
    return cli.main(["submit", *words])


@pytest.mark.slow  # half a minute; tests/cluster does it with a real Slurm
def test_a_trial_goes_on_after_a_restart_without_an_agent(
    server: SweepServer, workdir: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {
        "sbatch": "echo Submitted batch job 7",
        "srun": 'printf "%s\\n" "$WANDB_RUN_ID $WANDB_SWEEP_ID $APPRAISE_RUN" "$@" > "$APPRAISE_RUN/ran"',
    }
    for name, body in programs.items():
        (workdir / name).write_text(f"#!/bin/bash\n{body}\n")
        (workdir / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{workdir}:{os.environ['PATH']}")
    assert submit("--sweep", NAME, "--array", "2", "--nodes", "2", "--gpus-per-node", "8", "--output", "swept") == 0
    folder = workdir / "swept" / "version_0"
    assert f"log: tail -F {folder}/trial_*.log" in capfd.readouterr().out

    job = {"SLURM_CPUS_PER_TASK": "4", "SLURM_JOB_ID": "7"}
    ran = []
    for task in (0, 0, 1):  # the first is started twice
        environment = {**os.environ, **job, "SLURM_ARRAY_TASK_ID": str(task)}
        subprocess.run(["bash", str(folder / "submit" / "job.sh")], env=environment, check=True)
        ran.append((folder / f"trial_{task}" / "ran").read_text().splitlines())
        (folder / f"trial_{task}" / "ran").unlink()
    assert ran[0] == ran[1]
    assert server.given == ["trial0", "trial1"]
    assert [lines[0] for lines in ran[1:]] == [f"trial{n} abc123 {folder}/trial_{n}" for n in (0, 1)]
    words = ran[0][1:]
    assert words[:4] == ["--kill-on-bad-exit=1", sys.executable, str(REPOSITORY / "cli.py"), "fit"]
    assert words[-3:] == [f"--{RATE}=0.5", "--trainer.devices=8", "--trainer.num_nodes=2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "team/appraise/other"], "W&B has no sweep team/appraise/other for this account"),
        (["--sweep", NAME, "--array", "seeds=2"], '--array is "seeds=2", but beside --sweep it is N'),
        (["--sweep", NAME, "--stage", "data"], "a sweep's own command says what is run"),
        (["--sweep", NAME, "--", "--seed_everything=1"], "a sweep's own command says what is run"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_queued(
    server: SweepServer, workdir: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert submit(*words) == 2
    assert said in capsys.readouterr().err
    assert not (workdir / "runs").exists()


def test_a_command_without_python_cannot_be_started_on_all_devices(
    server: SweepServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.content["command"] = ["appraise", "fit", "${args}"]
    assert submit("--sweep", NAME) == 2
    assert "its command begins with appraise, but a job needs ${interpreter} or python there" in capsys.readouterr().err
