"""Scripts of jobs, and what is refused before anything is queued."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from lightning_modules.commands.cluster import submit
from lightning_modules.commands.cluster.request import JobRequest, job_request, read_cluster
from lightning_modules.commands.cluster.script import Job, render
from lightning_modules.commands.cluster.submit import check_devices, number_of, run, split_at_dashes, value_of
from lightning_modules.commands.front.errors import CommandLineError
from tests.running import REPOSITORY, printed_here

JOB = Job("appraise-x", Path("/runs/x/version_0"), Path("/work"), ["python", "cli.py", "fit", "--config=/a b.yaml"])


def script(job: Job = JOB, **asked: object) -> str:
    return render(job_request({}, asked), job, "commit 123")


def directives(text: str) -> dict[str, str]:
    found = [line.removeprefix("#SBATCH --").partition("=") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {name: value for name, _, value in found}


def test_directives_and_trainer_follow_from_the_same_numbers() -> None:
    text = script(nodes=2, gpus_per_node=8, time="8:00:00", partition="gpu", account="me", qos="high", mail="a@b.org")
    named = directives(text)
    assert (named["nodes"], named["ntasks-per-node"], named["gres"]) == ("2", "8", "gpu:8")
    assert (named["signal"], named["open-mode"]) == ("SIGUSR1@90", "append")
    assert (named["partition"], named["account"], named["qos"], named["mail-user"]) == ("gpu", "me", "high", "a@b.org")
    assert "requeue" in named
    assert "--trainer.devices=8 \\\n    --trainer.num_nodes=2\n" in text
    assert "srun --kill-on-bad-exit=1 " in text
    assert named["output"] == "/runs/x/version_0/job.log"


@pytest.mark.parametrize(
    "job",
    [JOB, Job(*[getattr(JOB, name) for name in ("name", "folder", "directory", "command")], seeds=5),
     Job(*[getattr(JOB, name) for name in ("name", "folder", "directory", "command")],
         staged={"data.init_args.root": "/data/it's mine"})],
)  # fmt: skip
def test_the_shell_takes_the_script_and_runs_what_was_asked(job: Job, tmp_path: Path) -> None:
    text = script(job, gpus_per_node=2, modules=("cuda/12", "gcc"))
    for name, body in {
        "srun": 'shift; printf "%s\\n" "$@" >> "$ASKED"', "scontrol": "exit 1", "module": "exit 0",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    text = text.replace("cd /work\n", f"cd {shlex.quote(str(tmp_path))}\n").replace("/runs/x", str(tmp_path))
    slurm = {"SLURM_CPUS_PER_TASK": "4", "SLURM_NNODES": "1", "SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked"), **slurm}
    subprocess.run(["bash", "-c", text], env=environment, check=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [word for word in asked if word.startswith("--config")] == ["--config=/a b.yaml"]
    assert ("--seed_everything=3" in asked) == (job.seeds == 5)
    if job.staged:
        assert "/data/it's mine" in asked
        assert any(
            word.startswith("--data.init_args.root=/") and word.endswith("appraise-7/it's mine") for word in asked
        )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"time": "8h"}, '--time is "8h", but Slurm takes minutes, 8:00:00 or 2-12:00:00'),
        ({"time": ""}, "--time"),
        ({"nodes": 0}, "--nodes is 0, but at least 1"),
        ({"gpus_per_node": -1}, "--gpus-per-node is -1, but at least 0"),
        ({"gpus_per_node": 0, "tasks_per_node": 0}, "--tasks-per-node is 0, but at least 1"),
        ({"gpus_per_node": 4, "tasks_per_node": 2}, "--tasks-per-node is 2 beside 4 GPUs"),
        ({"partition": "gpu\n#SBATCH --exclusive"}, "--partition is"),
        ({"account": "me; rm -rf ~"}, "--account is"),
    ],
)
def test_what_slurm_would_refuse(asked: dict[str, object], words: str) -> None:
    with pytest.raises(CommandLineError, match=words.replace("(", r"\(")):
        job_request({}, asked)


@pytest.mark.parametrize("time", ["90", "8:00:00", "30:00", "2-12", "2-12:30", "2-12:00:00"])
def test_times_that_slurm_takes(time: str) -> None:
    assert job_request({}, {"time": time}).time == time


def test_the_command_line_wins_over_the_cluster_file(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text('partition = "gpu"\naccount = "lab"\nmodules = ["cuda/12"]\ncpus_per_task = 6\n')
    request = job_request(read_cluster(file), {"partition": "short", "account": None})
    assert request == JobRequest(partition="short", account="lab", modules=("cuda/12",), cpus_per_task=6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('partitoin = "gpu"', 'names "partitoin"'),
        ("cpus_per_task = true", "cpus_per_task is True, but it is a number"),
        ("partition = 3", "partition is 3, but it is text"),
        ('modules = "cuda"', "modules is 'cuda', but it is a list"),
        ("partition = ", "is no TOML file"),
    ],
)
def test_a_cluster_file_that_cannot_work(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    with pytest.raises(CommandLineError, match=words):
        read_cluster(file)
    with pytest.raises(CommandLineError, match="there is no file"):
        read_cluster(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"devices": 4}, "names trainer.devices 4, but the job has 8"),
        ({"devices": "auto", "num_nodes": 3}, "names trainer.num_nodes 3, but the job has 2"),
        ({"devices": "auto", "accelerator": "cpu"}, "names trainer.accelerator cpu, but the job has 8 GPUs"),
    ],
)
def test_a_configuration_that_contradicts_the_job(trainer: dict[str, object], words: str) -> None:
    request = JobRequest(nodes=2, gpus_per_node=8)
    with pytest.raises(CommandLineError, match=words):
        check_devices({"trainer": trainer}, request)
    check_devices({"trainer": {"devices": "auto", "accelerator": "gpu", "num_nodes": 1}}, request)


def test_words_of_the_command_line(tmp_path: Path) -> None:
    assert split_at_dashes(["--nodes", "2"]) == (["--nodes", "2"], [])
    assert (number_of("seeds=5", "seeds="), number_of("5", "")) == (5, 5)
    for wrong in ("5", "seeds=0", "seeds=a"):
        with pytest.raises(CommandLineError, match="--array"):
            number_of(wrong, "seeds=")
    config = {"data": {"init_args": {"root": str(tmp_path)}}}
    assert value_of(config, "data.init_args.root") == str(tmp_path)
    with pytest.raises(CommandLineError, match="its value is None"):
        value_of(config, "data.init_args.rot")


def test_a_dry_run_shows_the_script_writes_nothing_and_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, cli\n"
        "assert cli.main(sys.argv[1:]) == 0\n"
        "assert not {'torch', 'lightning'} & set(sys.modules)\n"
    )  # fmt: skip
    options = ["--nodes=2", "--gpus-per-node=8", "--time=8:00:00", "--dry-run"]
    command = [sys.executable, "-c", code, "submit", "--config=video_quality/kvq", *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, "--", "--trainer=_parts/trainer/ddp_nodes"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "#SBATCH --ntasks-per-node=8" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_does_not_parse_is_found_before_anything_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["submit", "--config=video_quality/kvq", "--", "--model.init_args.learning_rat=1"]
    assert cli.main(arguments) == 2
    assert "nothing was queued" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--run=x", "--time=8:00:00"], "--time cannot be given with it"),
        (["--config=video_quality/demo", "--here=2", "--nodes=2"], "--nodes cannot be given with it"),
        (["--config=video_quality/demo", "--here=2", "--stage=data.init_args.root"], "--stage cannot be given with it"),
    ],
)
def test_options_that_would_be_passed_over(options: list[str], words: str) -> None:
    with pytest.raises(CommandLineError, match=words):
        run("submit", options)


def test_a_folder_is_claimed_only_when_all_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submit, "printed_config", printed_here)
    arguments = ["submit", "--config=video_quality/demo", "--gpus-per-node=0", "--stage=data.init_args.root"]
    assert cli.main(arguments) == 2
    assert "--stage data.init_args.root: its value is None" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_says_why_there_is_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(folder: Path) -> str:
        assert cli.main(["status", str(folder)]) == 2
        return capsys.readouterr().err

    assert "there is no folder" in said(tmp_path / "none")
    assert "holds no run that saved anything" in said(tmp_path)
    (tmp_path / "version_0" / "submit").mkdir(parents=True)
    assert "give one of version_0 in it" in said(tmp_path)
    (tmp_path / "version_0" / "submit" / "job.sh").touch()
    assert f"not queued: appraise submit --run {tmp_path / 'version_0'}" in said(tmp_path / "version_0")


def test_files_of_others_are_read_without_the_strictness_of_ours() -> None:
    lines = script(modules=("cuda/12",), environment="~/venv/bin/activate").splitlines()
    loose = next(place for place, line in enumerate(lines) if line.startswith("set +u"))
    strict = lines.index("set -u")
    assert [line.split()[0] for line in lines[loose + 1 : strict]] == ["module", "source"]
    assert str(Path("~/venv").expanduser()) in lines[strict - 1]
