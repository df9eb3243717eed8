"""What `mentor-loop` does next, judged by the results that its folder holds; no training here."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.mentoring.loop import Loop, parse
from lightning_modules.commands.mentoring.settings import LoopSettings, OperatorSettings, RowSettings
from lightning_modules.commands.mentoring.tasks import Mining, Training
from lightning_modules.commands.rows.estimates import estimate, per_seed_csv
from lightning_modules.commands.rows.results import Result, read_result, write_result


def make_loop(folder: Path, **changes: object) -> Loop:
    rows = {
        "baseline": RowSettings("baseline"),
        "new_data": RowSettings("+ new data", {"data.init_args.store": "{store}"}),
        "transfer": RowSettings("+ transfer", {"model.init_args.weights": "{baseline}", "n": "{masks}"}),
    }
    settings = {"fit": "inspection/demo", "rows": rows, "seeds": [4], "output": str(folder), **changes}
    return Loop(LoopSettings(**settings))  # type: ignore[arg-type]  # the mapping's values are of many types


def finish(task: Training | Mining) -> None:
    values = {"operator_minutes": 7.0} if isinstance(task, Mining) else {"test/map_new": 0.5}
    write_result(task.folder, Result(values, str(task.folder / "best.ckpt")))


def test_baseline_then_mining_then_rows(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    (first,) = loop.ready()
    assert isinstance(first, Training)
    assert first.folder == tmp_path / "seed_4" / "baseline"
    assert first.options["seed_everything"] == 4
    finish(first)
    (second,) = loop.ready()
    assert isinstance(second, Mining)
    assert second.checkpoint == first.folder / "best.ckpt"
    finish(second)
    rows = list(loop.ready())
    assert [task.folder.name for task in rows] == ["new_data", "transfer"]
    last = rows[1]
    assert isinstance(last, Training)
    assert last.options["model.init_args.weights"] == str(first.folder / "best.ckpt")
    assert last.options["n"] == "7"  # seven minutes are seven masks of a minute
    finish(rows[0])
    assert [task.folder.name for task in loop.ready()] == ["transfer"]


def test_second_round_deploys_the_row_and_adds_the_minutes(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, rounds=2)
    for _ in range(2):  # baseline, mining
        finish(next(loop.ready()))
    new_data, transfer = loop.ready()
    finish(transfer)
    assert list(loop.ready()) == [new_data]  # the next round's answers would reach it through the store
    finish(new_data)
    (mining,) = loop.ready()
    assert isinstance(mining, Mining)
    assert mining.folder == tmp_path / "seed_4" / "round_2" / "mining"
    assert mining.checkpoint == tmp_path / "seed_4" / "round_1" / "transfer" / "best.ckpt"
    finish(mining)
    tasks = list(loop.ready())
    assert isinstance(tasks[1], Training)
    assert tasks[1].options["n"] == "14"
    for task in tasks:
        finish(task)
    assert list(loop.ready()) == []
    assert all(read_result(folder) is not None for folder in loop.folders())


def test_folder_of_another_loop_is_refused(tmp_path: Path) -> None:
    make_loop(tmp_path).check_folder()
    make_loop(tmp_path, seeds=[4, 5]).check_folder()  # more seeds go on
    with pytest.raises(CommandLineError, match="operator differs"):
        make_loop(tmp_path, operator=OperatorSettings(error_rate=0.5)).check_folder()
    changed = {"baseline": RowSettings("baseline"), "transfer": RowSettings("+ transfer", {"n": 3})}
    with pytest.raises(CommandLineError, match="row transfer differs"):
        make_loop(tmp_path, rows=changed).check_folder()


def test_mistakes_in_the_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match='no row "dann"'):
        make_loop(tmp_path, rounds=2, deploy="dann")
    with pytest.raises(CommandLineError, match="processes 0"):
        make_loop(tmp_path, processes=0)
    with pytest.raises(CommandLineError, match="at least one row and one seed"):
        make_loop(tmp_path, seeds=[])
    with pytest.raises(CommandLineError, match="sed"):
        parse(["--config", "configs/inspection/loop.yaml", "--sed", "[0]"])


def test_nan_survives_the_record(tmp_path: Path) -> None:
    write_result(tmp_path, Result({"a": math.nan, "b": 1.0}, "x.ckpt"))
    result = read_result(tmp_path)
    assert result is not None
    assert math.isnan(result.values["a"])
    assert result.values["b"] == 1.0


def test_interval_is_student_t() -> None:
    found = estimate([0.1, 0.2, 0.6])
    assert found.mean == pytest.approx(0.3)
    assert found.half_width == pytest.approx(4.302653 * 0.2645751 / math.sqrt(3), rel=1e-5)
    assert estimate([0.5]).text(2) == "0.50"
    assert estimate([math.nan]).text(2) == "-"


def test_csv_holds_every_seed() -> None:
    text = per_seed_csv({"a": [{"m": 1.0}, {"m": 2.0}], "b": [{"n": 3.0}, {}]}, [0, 1])
    assert text.splitlines() == ["row,seed,m,n", "a,0,1.0,", "a,1,2.0,", "b,0,,3.0", "b,1,,"]
