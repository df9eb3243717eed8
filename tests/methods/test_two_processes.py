"""Two processes on the CPU measure and write what one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.methods import process
from tests.methods.conftest import Training
from tests.methods.run_files import content, differences, metrics, texts
from tests.methods.table import DIFFUSION, FACES, KSVQE, METHODS, SEGMENTER, Method


def measured_twice(commands: Mapping[str, Sequence[str]], folder: Path) -> dict[str, float]:
    """Run commands in one process and in two, and compare what is printed and written; returns the metrics."""
    one, two = (
        [[*words, f"--output={folder / run / name}"] for name, words in commands.items()] for run in ("one", "two")
    )
    running = [process.start(one, folder / "one.txt"), *process.start_pair(two, folder / "two.txt")]
    logs = [folder / "one.txt", folder / "two0.txt", folder / "two1.txt"]
    assert process.wait(running) == [0, 0, 0], texts(logs)
    expected, found, silent = (metrics(log.read_text()) for log in logs)
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert not silent
    for name in commands:
        assert differences(folder / "one" / name, folder / "two" / name) == []
    return expected


def cases() -> list[Any]:
    """Every method; three by default, since the rows of all are gathered alike."""
    by_default = (KSVQE, SEGMENTER, DIFFUSION)
    return [
        pytest.param(method, id=method.name, marks=[] if method in by_default else [pytest.mark.slow])
        for method in METHODS
    ]


@pytest.mark.parametrize("method", cases())
def test_two_processes_measure_and_write_what_one_does(
    method: Method, data: Path, uninterrupted: Training, tmp_path: Path
) -> None:
    best = uninterrupted(method) / "checkpoints" / "best.ckpt"
    test = method.test(data, best)
    commands = {"validate": ["validate", *test[1:]], "test": test}
    if not method.refuses:
        commands["predict"] = method.prediction(data, best)
    found = measured_twice(commands, tmp_path)
    assert {name.partition("/")[0] for name in found} == {"val", "test"}
    for name in () if method.refuses else method.predicted:
        assert content(tmp_path / "one" / "predict" / name)


@pytest.mark.parametrize("made", ["generator"])
def test_two_processes_make_the_faces_of_one(made: str, data: Path, tmp_path: Path) -> None:
    train = [*FACES.training(data), "--trainer.max_epochs=1", "--test_after_fit=false", f"--output={tmp_path}"]
    best = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    count = ["validate", "--config=face_attributes/statistics", *FACES.data, "--trainer.accelerator=cpu"]
    count += [f"--model.init_args.classifier_weights={best}", "--model.init_args.kept=32"]
    process.run([train, [*count, f"--output={tmp_path / made}"]], tmp_path / "counted.txt")
    make = ["generate", f"--ckpt_path={tmp_path / made / 'generator.ckpt'}", "--attributes=Smiling, Eyeglasses"]
    make += ["--count=5", "--model.init_args.inversion.steps=4", "--data.init_args.batch_size=2"]
    measured_twice({"generate": [*make, "--trainer.accelerator=cpu"]}, tmp_path)
    assert len(content(tmp_path / "two" / "generate" / "faces.json")) == 5


@pytest.mark.parametrize("method", [method for method in METHODS if method.refuses], ids=lambda method: method.name)
def test_what_needs_one_process_says_so(method: Method, data: Path, uninterrupted: Training, tmp_path: Path) -> None:
    best = uninterrupted(method) / "checkpoints" / "best.ckpt"
    words = [*method.prediction(data, best), f"--output={tmp_path / 'out'}"]
    assert process.wait(process.start_pair([words], tmp_path / "two.txt")) == [1, 1]
    assert method.refuses in (tmp_path / "two0.txt").read_text()
