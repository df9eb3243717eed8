"""Sweep files: what is refused in a sentence, which points are drawn, and how they are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from datamodules.common.errors import ConfigurationError
from lightning_modules.commands.sweep.plan import arguments, read_plan
from lightning_modules.commands.sweep.space import random_points, read_parameter
from tests.lightning_modules.commands.sweep.conftest import CONTENT, RunSweep, WriteSweep

RANGE = {"min": 0.1, "max": 1.0}


def one(**told: object) -> dict[str, Any]:
    """A change of the file: its only parameter."""
    return {"parameters": {"model.rate": told}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameters": {"model.rate": {"values": [1, 1.0]}}}, "parameters.model.rate names 1.0 twice"),
        ({"metod": "grid"}, "the file has the key metod, which W&B does not know: did you mean method?"),
        ({"method": "gird"}, "method is 'gird', but grid or random or bayes is needed"),
        ({"metric": None}, "the file has no metric, which every sweep needs"),
        ({"metric": "val/loss"}, "metric is 'val/loss', but a mapping with name, goal is needed"),
        ({"metric": {"name": "val/loss", "goal": "min"}}, "metric.goal is 'min', but minimize or maximize is needed"),
        ({"early_terminate": {"type": "median"}}, "early_terminate.type is 'median', but hyperband is needed"),
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate needs min_iter, or max_iter together with s"),
        ({"early_terminate": []}, "early_terminate is [], but a mapping with type is needed"),
        ({"run_cap": 0}, "run_cap is 0, but a whole number of 1 or more is needed"),
        ({"parameters": {}}, "parameters is empty, but at least one is needed"),
        ({"program": "other.py"}, "program is other.py, but there is no such file here"),
        ({"command": ["${program}"]}, "but a list of words with ${args} is needed"),
        ({"command": ["${program}", "${args_no_boolean_flags}", "${args}"]}, "command has ${args_no_boolean_flags}"),
        ({"parameters": {"model.rate": 3}}, "parameters.model.rate is 3, but a mapping with value"),
        (one(values=[0.1, None]), "parameters.model.rate has the value null, which W&B hands on as the text None"),
        (one(value=None), "has the value null"),
        (one(values=[[1, None]]), "has the value null"),
        (one(values=[{"a": 1}]), "has the value {'a': 1}, but text, numbers"),
        (one(values=[]), "values is [], but a list of at least one value is needed"),
        (one(values=[1, 2], probabilities=[1]), "probabilities is [1], but a number above 0 for each"),
        (one(parameters={"a": {"value": 1}}), "is nested, which W&B hands on as one dictionary: write dotted names"),
        (one(distribution="uniforn", **RANGE), "'uniforn', which is not drawn from here: did you mean uniform"),
        (one(distribution="beta", **RANGE), "which is not drawn from here"),
        (one(distribution="uniform", min=1.0), "is uniform, but has no max"),
        (one(distribution="uniform", q=1, **RANGE), "is uniform, which has no key q"),
        (one(min="1e-5", max=1.0), "min is '1e-5', but a number is needed, with a point, as in 1.0e-5"),
        (one(min=1.0, max=0.5), "goes from 1.0 to 0.5, but min must be below max"),
        (one(distribution="int_uniform", min=1.5, max=3), "min is 1.5, but int_uniform is of whole numbers"),
        (one(distribution="log_uniform_values", min=0.0, max=1.0), "min is 0.0, but a logarithm needs more than 0"),
        (one(distribution="q_uniform", q=0, **RANGE), "q is 0, but a step above 0 is needed"),
        (one(distribution="q_uniform", q=3, **RANGE), "has no multiple of 3 between 0.1 and 1.0"),
        ({"method": "grid"}, "parameters.model.rate has no steps, but a grid takes values alone"),
        ({}, "random has no end: add --count N, or run_cap to the file"),
        (
            {"command": ["${program}", "--data=${envvar:NOT_THERE}", "${args}"], "run_cap": 1},
            "its command takes the variable NOT_THERE, which is not set",
        ),
    ],
)
def test_what_cannot_work_is_said_before_any_training(
    sweep: RunSweep,
    write_sweep: WriteSweep,
    workdir: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    sentence: str,
) -> None:
    file = write_sweep(**changes)
    assert sweep() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"appraise sweep: {file}: ")
    assert sentence in line
    assert not list((workdir / "swept").glob("point_*"))


def test_a_file_that_is_no_yaml_is_named(sweep: RunSweep, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workdir / "sweep.yaml").write_text("method: [grid")
    assert sweep() == 2
    assert "sweep.yaml, line 1: this is no valid YAML" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [(["--count=0"], "--count is 0"), (["--jobs=x"], "invalid int value")])
def test_options_that_cannot_work(
    sweep: RunSweep, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert sweep(*words) == 2
    assert said in capsys.readouterr().err


def draws(told: dict[str, Any], number: int = 400) -> list[Any]:
    parameter = read_parameter("x", told, ConfigurationError)  # type: ignore[arg-type]
    return [parameter.draw(Random(seed)) for seed in range(number)]


def test_a_uniform_range_is_drawn_between_its_ends() -> None:
    drawn = draws({"min": 0.5, "max": 2.0})
    assert 0.5 <= min(drawn) < 0.55
    assert 1.95 < max(drawn) <= 2.0


def test_orders_of_magnitude_come_equally_often() -> None:
    drawn = draws({"distribution": "log_uniform_values", "min": 1.0e-4, "max": 1.0})
    assert min(drawn) >= 1.0e-4
    assert max(drawn) <= 1.0
    assert sum(value < 0.01 for value in drawn) / len(drawn) == pytest.approx(0.5, abs=0.1)


def test_whole_numbers_reach_both_ends() -> None:
    assert set(draws({"min": 2, "max": 5})) == {2, 3, 4, 5}


def test_steps_are_multiples_and_keep_their_kind() -> None:
    drawn = draws({"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8})
    assert set(drawn) == set(range(8, 65, 8))
    assert all(isinstance(value, int) for value in drawn)
    assert drawn.count(8) > drawn.count(64)
    assert set(draws({"distribution": "q_uniform", "min": 0.1, "max": 0.4, "q": 0.1})) == {0.1, 0.2, 0.3, 0.4}


def test_probabilities_are_followed() -> None:
    drawn = draws({"values": ["often", "seldom"], "probabilities": [0.9, 0.1]})
    assert drawn.count("seldom") / len(drawn) == pytest.approx(0.1, abs=0.05)


def test_points_follow_from_the_seed_and_fewer_are_the_first_of_more(write_sweep: WriteSweep) -> None:
    plan = read_plan(write_sweep())
    assert plan.points(8, seed=3)[:3] == plan.points(3, seed=3)
    assert plan.points(3, seed=4) != plan.points(3, seed=3)


def test_random_points_of_few_values_come_once_each(write_sweep: WriteSweep) -> None:
    plan = read_plan(write_sweep(parameters={"a": {"values": [1, 2, 3]}, "b": {"values": [False, True]}}))
    points = plan.points(None, seed=0)
    assert len({tuple(point.items()) for point in points}) == len(points) == 6
    assert random_points(plan.space, 99, seed=0) == points


def test_a_grid_has_every_combination_up_to_its_cap(write_sweep: WriteSweep) -> None:
    parameters = {"a": {"values": [1, 2]}, "b": {"min": 3, "max": 5}, "c": {"value": "x"}}
    plan = read_plan(write_sweep(method="grid", parameters=parameters, run_cap=5))
    points = plan.points(None, seed=0)
    assert [(point["a"], point["b"]) for point in points] == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4)]
    assert plan.points(2, seed=0) == points[:2]


def test_arguments_are_written_as_the_client_writes_them() -> None:
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    values = {"a.b": 1e-05, "c": False, "d": "none", "e": [1, 2.5, "x"], "f": 32}
    real = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    assert arguments(values) == real["args"]


def test_variables_of_the_command_are_filled_in(write_sweep: WriteSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT", "/data")
    plan = read_plan(write_sweep(command=[*CONTENT["command"][:-1], "--data=${envvar:ROOT}/a", "${args}"]))
    assert plan.words({"x": 1})[-2:] == ["--data=/data/a", "--x=1"]


def test_the_front_door_is_found_from_anywhere(
    write_sweep: WriteSweep, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_sweep(program="cli.py").resolve()
    assert read_plan(file).content["program"] == str(repository / "cli.py")
    (file.parent / "cli.py").write_text("of another project")
    assert read_plan(file).content["program"] == str(repository / "cli.py")
    monkeypatch.chdir(repository)
    assert read_plan(file).content["program"] == "cli.py"


def test_a_sweep_is_read_without_torch() -> None:
    code = "import sys, lightning_modules.commands.sweep.search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
