"""Two processes on the CPU measure and write what one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.methods import process
from tests.methods.conftest import Training
from tests.methods.run_files import content, differences, metrics, texts
from tests.methods.table import METHODS, Method


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_two_processes_measure_and_write_what_one_does(
    method: Method, data: Path, uninterrupted: Training, tmp_path: Path
) -> None:
    best = uninterrupted(method) / "checkpoints" / "best.ckpt"
    commands = {"test": method.test(data, best), "predict": method.prediction(data, best)}
    if method.refuses:
        del commands["predict"]
    runs = {"one": 1, "two": 2}
    words = {
        run: [[*command, f"--output={tmp_path / run / name}"] for name, command in commands.items()] for run in runs
    }
    running = [
        process.start(words["one"], tmp_path / "one.txt"),
        *process.start_pair(words["two"], tmp_path / "two.txt"),
    ]
    logs = [tmp_path / "one.txt", tmp_path / "two0.txt", tmp_path / "two1.txt"]
    assert process.wait(running) == [0, 0, 0], texts(logs)
    one, two, silent = (metrics(log.read_text()) for log in logs)
    assert one
    assert two == pytest.approx(one, rel=1e-6, nan_ok=True)
    assert not silent
    for name in commands:
        assert differences(tmp_path / "one" / name, tmp_path / "two" / name) == []
    for name in () if method.refuses else method.predicted:
        assert content(tmp_path / "one" / "predict" / name)
