"""Trap: every run keeps its configuration, code, versions and seed beside its checkpoints, and no run another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from callbacks.training.git_state import git_state
from callbacks.training.run_record import RunRecord
from lightning_modules.commands.front.run_folder import claim_run_folder
from tests.running import REPOSITORY, Command, free_port


def record(folder: Path) -> tuple[Any, Any]:
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return config, json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_record_beside_the_checkpoints(appraise: Command, workdir: Path, repository: Path) -> None:
    assert appraise("fit", "--config", "toy", "--seed_everything", "5", "--data.batch_size=3").code == 0
    folder = workdir / "runs/toy/version_0"
    config, facts = record(folder)
    assert list((folder / "checkpoints").glob("*.ckpt"))
    assert config["data"]["init_args"]["batch_size"] == 3
    assert config["seed_everything"] == facts["seed"] == 5
    assert facts["folder"] == str(folder)
    assert {"python", "torch", "lightning", "appraise"} <= set(facts["versions"])
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=False)
    if head.returncode == 0:
        assert facts["git"]["commit"] == head.stdout.strip()
        assert isinstance(facts["git"]["dirty"], bool)


def test_seed_is_known_without_being_asked_for(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy").code == 0
    assert record(workdir / "runs/toy/version_0")[0]["seed_everything"] == 0
    assert appraise("fit", "--config", "toy", "--seed_everything", "true").code == 0
    config, facts = record(workdir / "runs/toy/version_1")
    assert type(config["seed_everything"]) is int
    assert facts["seed"] == config["seed_everything"]


def test_the_record_can_be_used_again(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--model.width", "5", "--model.optimizer", "Adam").code == 0
    first, _ = record(workdir / "runs/toy/version_0")
    assert appraise("fit", "--config", "runs/toy/version_0/config.yaml").code == 0
    again, _ = record(workdir / "runs/toy/version_1")
    assert again == first


def test_a_record_with_loggers_does_not_write_to_the_first_run(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--trainer.logger", "_parts/logger/default").code == 0
    first = (workdir / "runs/toy/version_0/metrics.csv").read_bytes()
    assert appraise("fit", "--config", "runs/toy/version_0/config", "--data.batch_size", "3").code == 0
    assert (workdir / "runs/toy/version_0/metrics.csv").read_bytes() == first
    assert (workdir / "runs/toy/version_1/metrics.csv").is_file()
    assert len(list((workdir / "runs/toy/version_1/tensorboard").iterdir())) == 2


def test_two_offline_runs_of_wandb_keep_both(appraise: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for size in ("2", "3"):
        arguments = ["--data.batch_size", size, "--trainer.logger", "_parts/logger/wandb"]
        assert appraise("fit", "--config", "toy", *arguments).code == 0
    for number in range(2):
        folder = workdir / f"runs/toy/version_{number}"
        assert record(folder)[0]["data"]["init_args"]["batch_size"] == number + 2
        assert len(list(folder.glob("wandb/offline-run-*"))) == 1
        assert list((folder / "checkpoints").glob("*.ckpt"))
        assert (folder / "metrics.csv").is_file()


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_other_stages_too(stage: str, appraise: Command, checkpoint: Path, workdir: Path) -> None:
    done = appraise(stage, "--config", "toy", "--ckpt_path", str(checkpoint), "--output", "out")
    assert done.code == 0, done.err
    config, facts = record(workdir / "out")
    assert config["ckpt_path"] == str(checkpoint)
    assert facts["folder"] == str(workdir / "out")


def test_nothing_is_written_by_a_trial_run(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--trainer.fast_dev_run", "true").code == 0
    assert [path.name for path in workdir.iterdir()] == ["toy.yaml"]


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    parser: Any = SimpleNamespace(dump=lambda config, skip_unset: "a: 1\n")
    config: Any = {"a": 1}
    written = RunRecord(parser, config, save_to_log_dir=False)
    other: Any = SimpleNamespace(
        is_global_zero=False, strategy=SimpleNamespace(broadcast=lambda value: value), default_root_dir=str(tmp_path)
    )
    module: Any = None
    written.setup(other, module, "fit")
    assert not list(tmp_path.iterdir())


def test_code_outside_a_repository_has_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path / "x.py") is None


def test_two_processes_share_a_folder_and_the_first_alone_speaks(repository: Path, workdir: Path) -> None:
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


class TestFolder:
    def test_next_free_version(self, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (workdir / "a" / "version_1").mkdir(parents=True)
        folders = [claim_run_folder(workdir / "a", numbered=True).name for _ in range(3)]
        assert folders == ["version_0", "version_2", "version_3"]
        monkeypatch.delenv("APPRAISE_RUN_FOLDER")

    def test_a_named_folder_is_taken_as_it_is(self, workdir: Path) -> None:
        assert claim_run_folder(workdir / "b", numbered=False) == workdir / "b"

    def test_processes_of_one_run_share_it(self, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = claim_run_folder(workdir / "a", numbered=True)
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert claim_run_folder(workdir / "a", numbered=True) == first

    def test_a_requeued_slurm_job_finds_its_own(self, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLURM_JOB_ID", "42")
        monkeypatch.setenv("SLURM_NTASKS", "2")
        monkeypatch.setenv("SLURM_JOB_NAME", "train")
        assert [claim_run_folder(workdir / "a", numbered=True).name for _ in range(2)] == ["job_42", "job_42"]

    def test_output_option(self, appraise: Command, workdir: Path) -> None:
        for _ in range(2):
            assert appraise("fit", "--config", "toy", "--output", "mine/x").code == 0
        assert sorted(path.name for path in (workdir / "mine/x").iterdir()) == ["version_0", "version_1"]
        assert not (workdir / "runs").exists()

    def test_without_a_configuration_the_class_names_it(self, appraise: Command, workdir: Path) -> None:
        arguments = ["--model", "ToyModel", "--data", "ToyData", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
        assert appraise("fit", *arguments).code == 0
        assert (workdir / "runs/ToyModel/version_0/metrics.csv").is_file()


def test_processes_of_a_torchrun_without_a_name_share_a_folder(workdir: Path) -> None:
    (workdir / "claims.py").write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "from lightning_modules.commands.front.run_folder import claim_run_folder\n"
        "time.sleep(1 - int(os.environ['RANK']))\n"  # the last process asks first
        "folder = claim_run_folder(Path('runs'), numbered=True)\n"
        "(folder / os.environ['RANK']).touch()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    launched = [
        subprocess.Popen([*command, f"--master-port={free_port()}", "claims.py"], cwd=workdir, env=environment)
        for _ in range(2)
    ]
    assert [one.wait(300) for one in launched] == [0, 0]
    for number in range(2):
        assert {path.name for path in (workdir / "runs" / f"version_{number}").iterdir()} == {"0", "1"}


def test_a_resumed_run_is_the_same_run_of_wandb(
    appraise: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    words = ["fit", "--config", "toy", "--trainer.logger", "_parts/logger/wandb"]
    assert appraise(*words).code == 0
    (checkpoint,) = (workdir / "runs/toy/version_0/checkpoints").glob("*.ckpt")
    done = appraise(*words, "--ckpt_path", str(checkpoint), "--trainer.max_epochs", "2")
    assert done.code == 0, done.err
    first, second = (next((workdir / f"runs/toy/version_{n}/wandb").glob("offline-run-*")) for n in (0, 1))
    assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2]


def test_without_an_account_of_wandb_there_is_no_folder(
    appraise: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(workdir / "absent"))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    done = appraise("fit", "--config", "toy", "--trainer.logger", "_parts/logger/wandb")
    assert "no account of W&B is known here" in done.sentence
    assert not list(workdir.rglob("version_*"))
