"""A sweep on this machine: what it writes, how it goes on, and what it says of trainings that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.lightning_modules.commands.sweep.conftest import RunSweep, WriteSweep
from tests.running import REPOSITORY
from tests.tables import csv_rows

LOCKS = pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")


def starts(folder: Path) -> list[int]:
    """Processes that a point had."""
    file = folder / "starts.txt"
    return [int(line) for line in file.read_text().splitlines()] if file.is_file() else []


def test_a_sweep_ends_with_table_csv_picture_and_the_best_configuration(
    sweep: RunSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--count=5") == 0
    rows = csv_rows(workdir / "swept" / "results.csv")
    losses = [float(row["best val/loss"]) for row in rows]
    assert [row["point"] for row in rows] == list("01234")
    assert losses == pytest.approx([(float(row["model.rate"]) - 0.3) ** 2 for row in rows])
    assert [float(row["last val/loss"]) for row in rows] == pytest.approx([loss + 1 for loss in losses])
    assert {int(row["model.width"]) % 8 for row in rows} == {0}
    best = losses.index(min(losses))
    told = capsys.readouterr()
    header, _, first, *_ = told.out.splitlines()
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns == ["point", "rate", "width", "kind", "best val/loss", "last", "seconds"]
    assert first.split()[1] == str(best)
    assert f"best: point {best}" in told.out
    assert f"5 of 5: point {rows[-1]['point']}" in told.err
    assert told.err.startswith("points: 5, done before: 0, at a time: 1, in ")
    taken = yaml.safe_load((workdir / "swept" / "best.yaml").read_text())
    assert taken == {"model": {"rate": float(rows[best]["model.rate"])}, "ckpt_path": None}
    with Image.open(workdir / "swept" / "results.png") as picture:
        assert picture.width > picture.height > 300


def test_the_goal_decides_which_is_best(sweep: RunSweep, write_sweep: WriteSweep, workdir: Path) -> None:
    write_sweep(metric={"name": "val/loss", "goal": "maximize"})
    assert sweep("--count=3") == 0
    rows = csv_rows(workdir / "swept" / "results.csv")
    assert [row["best val/loss"] for row in rows] == [row["last val/loss"] for row in rows]  # last is worse by one
    best = max(rows, key=lambda row: float(row["best val/loss"]))
    taken = yaml.safe_load((workdir / "swept" / "best.yaml").read_text())
    assert taken["model"]["rate"] == float(best["model.rate"])


def test_points_that_are_done_are_not_trained_again(sweep: RunSweep, workdir: Path) -> None:
    assert sweep("--count=2") == 0
    first = csv_rows(workdir / "swept" / "results.csv")
    assert sweep("--count=4") == 0
    assert [len(starts(workdir / "swept" / f"point_{number}")) for number in range(4)] == [1, 1, 1, 1]
    assert csv_rows(workdir / "swept" / "results.csv")[:2] == first


def test_a_failed_training_is_a_row_with_its_sentence_and_is_tried_again(
    sweep: RunSweep,
    write_sweep: WriteSweep,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_sweep(method="grid", parameters={"model.rate": {"value": 0.5}, "model.kind": {"values": ["a", "b|c"]}})
    monkeypatch.setenv("BROKEN", "a")
    assert sweep() == 0
    table = capsys.readouterr().out
    assert "failed: this kind does not work" in table
    assert "b\\|c" in table
    assert csv_rows(workdir / "swept" / "results.csv")[0]["failure"] == "this kind does not work"
    monkeypatch.delenv("BROKEN")
    assert sweep() == 0
    assert [len(starts(workdir / "swept" / f"point_{number}")) for number in range(2)] == [2, 1]
    assert [row["failure"] for row in csv_rows(workdir / "swept" / "results.csv")] == ["", ""]


def test_a_metric_that_is_never_a_number_fails_the_training(
    sweep: RunSweep, write_sweep: WriteSweep, workdir: Path
) -> None:
    write_sweep(metric={"name": "val/worse", "goal": "minimize"})
    assert sweep("--count=1") == 1
    rows = csv_rows(workdir / "swept" / "results.csv")
    assert [row["failure"] for row in rows] == ["val/worse was never a number"]
    assert not (workdir / "swept" / "best.yaml").exists()


def test_a_misspelt_metric_costs_one_training_alone(
    sweep: RunSweep, write_sweep: WriteSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(metric={"name": "val/los", "goal": "minimize"})
    assert sweep("--count=3") == 2
    said = "metric.name is val/los, which point 0 did not log: did you mean val/loss or val/worse?"
    assert said in capsys.readouterr().err
    assert [path.name for path in (workdir / "swept").glob("point_*")] == ["point_0"]


def test_fewer_points_than_there_are_lose_none(sweep: RunSweep, workdir: Path) -> None:
    assert sweep("--count=3") == 0
    assert sweep("--count=1") == 0
    assert len(csv_rows(workdir / "swept" / "results.csv")) == 3


def test_a_file_in_the_place_of_the_folder_is_named(
    sweep: RunSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workdir / "swept").touch()
    assert sweep("--count=1") == 2
    assert "cannot be made (File exists): give another --output" in capsys.readouterr().err


def test_trainings_run_together_and_share_cores_and_gpus(
    sweep: RunSweep, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGETHER", "2")  # each waits for the other
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert sweep("--count=2", "--jobs=2") == 0
    told = {(workdir / "swept" / f"point_{number}" / "log.txt").read_text().split()[-1] for number in range(2)}
    assert told == {"4,6", "5"}
    assert "offline 3" in (workdir / "swept" / "point_0" / "log.txt").read_text()


def test_an_unknown_parameter_is_named_before_any_training(
    sweep: RunSweep, write_sweep: WriteSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(parameters={"model.rat": {"values": [0.1, 0.2]}})
    assert sweep("--count=2") == 2
    sentence = "appraise sweep: nothing was trained: unknown option --model.rat: did you mean --model.rate?\n"
    assert capsys.readouterr().err == sentence
    assert not list((workdir / "swept").glob("point_*"))


def test_a_folder_of_another_sweep_is_refused(
    sweep: RunSweep, write_sweep: WriteSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--count=1") == 0
    assert sweep("--count=1", "--seed=1") == 2
    assert "holds a sweep that was begun with another value of seed" in capsys.readouterr().err
    write_sweep(parameters={"model.rate": {"values": [0.1]}})
    assert sweep("--count=1") == 2
    assert "holds a sweep that was begun with another value of parameters" in capsys.readouterr().err


def test_what_needs_the_server_is_said_in_a_sentence_each(
    sweep: RunSweep, write_sweep: WriteSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(method="bayes", early_terminate={"type": "hyperband", "min_iter": 3})
    assert sweep("--count=1") == 0
    told = capsys.readouterr().err
    assert "bayes learns from the trainings before on W&B's server: offline the points are random" in told
    assert "early_terminate is W&B's server's: offline every training runs to its end" in told


def test_words_behind_dashes_go_to_every_training(sweep: RunSweep, workdir: Path) -> None:
    assert sweep("--count=1", "--", "--nonsense=1") == 2
    assert sweep("--count=1", "--", "--config=two") == 0
    assert '"--config=two"' in (workdir / "swept" / "sweep.json").read_text()
    assert '"--config=one"' not in (workdir / "swept" / "sweep.json").read_text()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def begun(workdir: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A sweep in a process of its own, and its training, which never ends by itself."""
    # Ctrl-C is ignored where the tests themselves run in the background.
    program = (
        "import signal, sys, cli; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "sweep", "sweep.yaml", "--offline", "--output=swept", "--count=1"]
    surroundings = {**os.environ, "FOR_EVER": "1", "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=workdir, env=surroundings) as process:
        try:
            wait_for(lambda: starts(workdir / "swept" / "point_0"))
            training = starts(workdir / "swept" / "point_0")[0]
            yield process, training
        finally:
            process.kill()
            for left in filter(is_alive, starts(workdir / "swept" / "point_0")[:1]):
                os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_stopped_leaves_no_training_behind_and_goes_on(
    sweep: RunSweep, workdir: Path, number: signal.Signals, code: int
) -> None:
    with begun(workdir) as (process, training):
        process.send_signal(number)
        assert process.wait(60) == code
        assert not is_alive(training)
    assert sweep("--count=1") == 0
    assert len(starts(workdir / "swept" / "point_0")) == 2


@LOCKS
def test_a_training_that_outlived_its_sweep_is_not_joined_by_a_second_one(
    sweep: RunSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun(workdir) as (process, training):
        process.kill()
        process.wait(60)
        try:
            assert sweep("--count=1") == 2
            assert "a training that an earlier sweep began still works in" in capsys.readouterr().err
        finally:
            os.kill(training, signal.SIGKILL)
    wait_for(lambda: not is_alive(training))
    assert sweep("--count=1") == 0


def test_two_sweeps_of_one_folder_are_refused(
    sweep: RunSweep, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun(workdir):
        assert sweep("--count=1") == 2
    assert "another sweep works in" in capsys.readouterr().err
