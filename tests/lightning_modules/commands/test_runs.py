"""All trainings below a folder in one table, the best first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from callbacks.training.run_comparison import ComparedRun, draw_values
from lightning_modules.commands.runs import find_runs
from tests.running import Command


def make_run(folder: Path, rate: float, losses: list[float], seed: int = 0, config: str = "toy") -> Path:
    """What `fit` leaves, with one checkpoint."""
    (folder / "checkpoints").mkdir(parents=True)
    saver = {"class_path": "callbacks.BestAndLast", "init_args": {"monitor": "val/loss", "mode": "min"}}
    settings = {"model": {"init_args": {"learning_rate": rate}}, "trainer": {"callbacks": [saver]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    record = {"command": ["appraise", "fit", "--config", config], "started": "2026-01-02T03:00:00+00:00", "seed": seed}
    (folder / "run.json").write_text(json.dumps(record))
    rows = [f"{epoch},{epoch},{loss},0.{epoch}" for epoch, loss in enumerate(losses)]
    (folder / "metrics.csv").write_text("epoch,step,val/loss,test/accuracy\n" + "\n".join(rows) + "\n")
    (folder / "checkpoints/best.ckpt").touch()
    for file in ("metrics.csv", "checkpoints/best.ckpt"):
        os.utime(folder / file, (1767323045, 1767323045))  # 2026-01-02T03:04:05
    return folder


@pytest.fixture
def runs(workdir: Path) -> Path:
    """Three trainings, a prediction and a broken record."""
    folder = workdir / "runs"
    make_run(folder / "a/version_0", 0.1, [3.0, 2.0])
    make_run(folder / "a/version_1", 0.01, [1.5, 4.0], seed=7)
    make_run(folder / "b", 0.2, [2.5])
    (folder / "b/predict").mkdir()
    (folder / "b/predict/config.yaml").write_text("model: {}")
    (folder / "b/predict/run.json").write_text('{"command": ["appraise", "predict"]}')
    (folder / "c").mkdir()
    (folder / "c/config.yaml").write_text(": :")
    return folder


def test_the_best_comes_first(runs: Path, appraise: Command, workdir: Path) -> None:
    done = appraise("runs", "--by", "learning_rate", "--csv", "all.csv")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["run", "config", "seed", "learning_rate", "metric", "best", "epochs", "time", "checkpoint"]
    assert lines[1][:6] == ["runs/a/version_1", "toy", "7", "0.01", "val/loss", "1.5"]
    assert lines[1][6:] == ["2", "0:04:05", "checkpoints/best.ckpt"]
    assert [line[0] for line in lines[2:]] == ["runs/a/version_0", "runs/b"]
    assert (workdir / "all.csv").read_text().splitlines()[1].startswith("runs/a/version_1,toy,7,0.01,val/loss,1.5,2,")


def test_another_metric_and_a_figure(runs: Path, appraise: Command, workdir: Path) -> None:
    done = appraise("runs", "runs/a", "runs/b", "--metric", "test/accuracy", "--figure", "all.png")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["runs/a/version_0", "runs/a/version_1", "runs/b"]
    assert (workdir / "all.png").read_bytes().startswith(b"\x89PNG")


def test_a_real_training_is_found(checkpoint: Path, workdir: Path) -> None:
    (found,) = find_runs(workdir)
    assert (found.seed, found.checkpoint) == (0, checkpoint)
    assert found.seconds >= 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["run"], "did you mean runs?"),
        (["--by", "leaning_rate"], "did you mean learning_rate?"),
        (["empty"], "there is no training in empty"),
        (["--metric", "val/los"], "no run has the metric val/los: did you mean val/loss?"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    words: list[str], expected: str, runs: Path, appraise: Command, workdir: Path
) -> None:
    (workdir / "empty").mkdir()
    done = appraise("runs", *words)
    assert done.code == 2
    assert expected in done.sentence


def test_a_value_that_each_run_has_once_is_a_bar() -> None:
    compared = [ComparedRun(name, name, {3: {"test/map": value}}) for name, value in (("a", 0.5), ("b", 0.25))]
    (axes,) = draw_values([*compared, ComparedRun("c", "c")], "run", "test/map").axes
    assert [bar.get_width() for bar in axes.patches][:2] == [0.5, 0.25]
    assert [text.get_text() for text in axes.texts] == ["0.5", "0.25"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
