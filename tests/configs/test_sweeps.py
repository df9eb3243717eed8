"""Every shipped sweep: its file, its arguments as W&B's client writes them, and one of its points, really trained."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

import cli
import lightning_modules
from lightning_modules.commands.sweep.plan import Plan, read_plan
from lightning_modules.commands.sweep.points import metric_values
from lightning_modules.commands.sweep.space import Values
from tests.configs.shipped import (
    CONFIGS,
    SMALL_ANSWERER,
    SMALL_CLIPS,
    SMALL_DIFFUSION,
    SMALL_PARTS,
    SMALL_PICTURES,
    SMALL_QUESTIONS,
    configs_of,
    name_of,
)
from tests.tables import csv_rows

SWEEPS = configs_of("sweeps")
NEVER_TRAINED = {"AttributeFaceGenerator", "PretrainedActionClassifier"}  # one counts, one comes as it is


@pytest.fixture
def small(
    small_demo: list[str], smallest_network: list[str], small_faces: list[str], face_tree: Path
) -> dict[str, list[str]]:
    """Options for the smallest data and network of each sweep; what is swept stands behind them and wins."""
    parts = [f"--data.init_args.demo.{name}={value}" for name, value in (*SMALL_PARTS.items(), ("size", 64))]
    parts += ["--model.init_args.backbone=small", "--model.init_args.width=4", "--data.init_args.batch_size=4"]
    faces = [*small_faces, "--model.init_args.backbone=small_vgg"]
    return {
        "ksvqe": [*small_demo, *smallest_network],
        "segmenter": parts,
        "detector": [*parts, "--data.init_args.crop_size=64"],
        "actions": [
            *(f"--data.init_args.demo.{name}={value}" for name, value in SMALL_CLIPS.items()),
            "--model.init_args.backbone=test_efficientnet",
            "--data.init_args.frame_size=32",
        ],
        "face_attributes": faces,
        "diffusion": [*SMALL_DIFFUSION, *SMALL_PICTURES],
        "face_benchmark": [*SMALL_QUESTIONS, *SMALL_ANSWERER],
        "face_freeze": [
            *(option for option in faces if ".demo." not in option),
            f"--data.init_args.labels={face_tree / 'pubfig_attributes.txt'}",
            "--model.init_args.backbone_weights=null",
        ],
    }


@pytest.fixture
def plan(
    path: Path, small: dict[str, list[str]], face_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Plan:
    """A sweep whose trainings are short, where its first one finds what it needs."""
    monkeypatch.chdir(CONFIGS.parent)
    variables = {"PUBFIG": face_tree, "VGG_FACE": "absent.pth", "APPRAISE_RUN": tmp_path / "run"}
    for name, value in {**variables, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, str(value))
    short = ["--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1", "--trainer.accelerator=cpu"]
    return read_plan(path, [*small[path.stem], *short, "--test_after_fit=false"])


def test_every_method_that_trains_has_a_sweep() -> None:
    swept = set()
    for path in SWEEPS:
        word = next(word for word in read_plan(path).command if word.startswith("--config="))
        config = yaml.safe_load((CONFIGS.parent / word.removeprefix("--config=")).read_text())
        swept.add(config["model"]["class_path"].rpartition(".")[2])
    assert swept == set(lightning_modules.PUBLIC) - NEVER_TRAINED


@pytest.mark.parametrize("path", SWEEPS, ids=name_of)
def test_a_sweep_is_whole(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    plan = read_plan(path)
    assert path.read_text().startswith(f"# appraise sweep configs/{name_of(path)}.yaml --offline")
    assert content["program"] == "cli.py"
    assert all(name.startswith(("model.init_args.", "data.init_args.")) for name in plan.space)
    assert plan.command[-1] == "${args}"
    assert "--trainer.logger=_parts/logger/wandb" in plan.command
    assert content["method"] == "grid" or {"run_cap", "early_terminate"} <= set(content)


def at(config: object, name: str) -> object:
    """Value of a dotted name."""
    for part in name.split("."):
        assert isinstance(config, dict)
        config = config[part]
    return config


@pytest.mark.parametrize("path", SWEEPS, ids=name_of)
def test_a_point_as_the_client_writes_it_is_what_the_command_line_reads(
    path: Path, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    values = plan.points(1, seed=0)[0]
    written = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    words = plan.words(values)
    assert words[2] == "fit"
    assert words[-len(values) :] == written["args"]
    assert cli.main([*words[2:], "--print_config"]) == 0
    read = yaml.safe_load(capsys.readouterr().out)
    assert {name: at(read, name) for name in values} == values


@pytest.mark.parametrize("path", SWEEPS, ids=name_of)
def test_a_point_trains_offline_and_logs_the_metric(path: Path, plan: Plan, tmp_path: Path) -> None:
    values: Values = plan.points(1, seed=0)[0]
    assert cli.main(plan.words(values)[2:]) == 0
    logged, _ = metric_values(tmp_path / "run" / "metrics.csv", plan.metric)
    assert len(logged) == 1
    assert math.isfinite(logged[0])
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.slow
def test_a_shipped_sweep_runs_by_itself_and_its_best_configuration_is_one_for_fit(
    tmp_path: Path, small: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "sweeps/face_attributes", "--offline", "--count=2", "--jobs=2", "--output=swept", "--"]
    words += [*small["face_attributes"], "--trainer.max_epochs=1"]
    assert cli.main(words) == 0
    rows = csv_rows(tmp_path / "swept" / "results.csv")
    assert [row["failure"] for row in rows] == ["", ""]
    best = max(rows, key=lambda row: float(row["best val/balanced_accuracy"]))
    capsys.readouterr()
    assert cli.main(["fit", "--config=swept/best.yaml", "--print_config"]) == 0
    read = yaml.safe_load(capsys.readouterr().out)
    assert read["ckpt_path"] is None
    assert at(read, "model.init_args.learning_rate") == float(best["model.init_args.learning_rate"])
