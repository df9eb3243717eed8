"""Every shipped configuration of the face benchmark parses and runs: fit, test and predict."""

from __future__ import annotations

from pathlib import Path

import pytest

import cli
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.tiny import TinySettings, tiny
from lightning_modules.face_benchmark.folders import save_network
from tests.configs.shipped import SMALL_ANSWERER, SMALL_QUESTIONS, tried
from tests.datamodules.face_benchmark.benchmark_files import write_benchmark


def config(name: str) -> list[str]:
    return ["--config", f"face_benchmark/{name}"]


@pytest.mark.parametrize("fast", [True, False])
def test_the_demo(fast: bool, tmp_path: Path) -> None:
    words = ["test", *config("demo"), *SMALL_QUESTIONS, f"--output={tmp_path}"]
    assert cli.main([*words, *(["--trainer.fast_dev_run=1"] if fast else [])]) == 0
    folder = tmp_path / "fast_dev_run" if fast else tmp_path
    assert len((folder / "answers.jsonl").read_text().splitlines()) == (4 if fast else 18)
    assert (folder / "results.png").is_file()


@pytest.mark.parametrize("command", ["test", "predict"])
def test_a_folder_of_questions_and_a_folder_of_a_model(command: str, tmp_path: Path) -> None:
    save_network(Network(tiny(TinySettings()), None, None, "tiny"), tmp_path / "model")
    questions = write_benchmark(tmp_path / "benchmark")
    words = [command, *config("evaluate"), f"--model.init_args.weights={tmp_path / 'model'}"]
    words += [f"--data.init_args.questions={questions}", "--data.init_args.num_workers=0"]
    words += ["--model.init_args.max_new_tokens=3", "--trainer.accelerator=cpu", f"--output={tmp_path / 'out'}"]
    assert cli.main(words) == 0
    assert len((tmp_path / "out" / "answers.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize("fast", [True, False])
def test_teach_and_ask(fast: bool, tmp_path: Path) -> None:
    """What is taught is tested from its checkpoint, and from the folder that transformers reads."""
    small = [*SMALL_QUESTIONS, "--trainer.max_epochs=1"]
    checkpoint = tried(tmp_path, fast, *config("tune"), *SMALL_ANSWERER, *small, tested=[*config("tune"), *small])
    if checkpoint is None:
        return
    run = checkpoint.parents[1]
    assert (run / "model" / "model.safetensors").is_file()
    first = (run.parent / "answers.jsonl").read_text()
    assert len(first.splitlines()) == 4
    words = ["test", *config("demo"), *SMALL_QUESTIONS, "--data.init_args.tasks=[gender,crowd_counting]"]
    words += ["--model.init_args.scoring=generate", "--model.init_args.max_new_tokens=12"]
    assert cli.main([*words, f"--model.init_args.weights={run / 'model'}", f"--output={tmp_path / 'again'}"]) == 0
    again = (tmp_path / "again" / "answers.jsonl").read_text()
    assert [line.split('"seconds"')[0] for line in again.splitlines()] == [
        line.split('"seconds"')[0] for line in first.splitlines()
    ]
