"""Answers on disk: each question once, whatever stops the run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from filelock import FileLock

import cli
from callbacks.face_benchmark.answer_writer import AnswerWriter
from datamodules import FaceXBenchDataModule
from datamodules.common.errors import ConfigurationError, ImageError
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.asking.served import ServerError, ServerSettings
from lightning_modules.face_benchmark.asking.tiny import TinySettings
from lightning_modules.face_benchmark.results.outcome import Outcome, read_line
from tests.datamodules.face_benchmark.benchmark_files import write_benchmark
from tests.lightning_modules.face_benchmark.chat_server import serving

DEMO = FaceDemoSettings(train=40, val=40, test=200)


def drawn(**options: Any) -> FaceXBenchDataModule:
    values = {"per_task": 3, "demo": DEMO, "image_size": 32, "batch_size": 4, "tasks": ["gender", "crowd_counting"]}
    return FaceXBenchDataModule(**values | options)


def asked(
    folder: Path,
    data: FaceXBenchDataModule | None = None,
    stage: str = "test",
    limit: int | None = None,
    **options: Any,
) -> dict[str, float]:
    """Metrics of a test or prediction into a folder."""
    writer = AnswerWriter(output=str(folder))
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        callbacks=[writer], limit_test_batches=limit, default_root_dir=folder,
    )  # fmt: skip
    model = FaceXBenchEvaluator(**{"scoring": "likelihood", **options})
    if stage == "predict":
        trainer.predict(model, data or drawn(), return_predictions=False)
        return {}
    trainer.test(model, data or drawn(), verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def answers(folder: Path) -> list[Outcome]:
    lines = (folder / "answers.jsonl").read_text().splitlines()
    found = [read_line(line) for line in lines]
    assert None not in found
    return [one for one in found if one is not None]


def timeless(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "answers.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def test_every_question_is_answered_and_counted(tmp_path: Path) -> None:
    metrics = asked(tmp_path)
    found = answers(tmp_path)
    assert len(found) == 6
    assert metrics["test/accuracy"] == pytest.approx(sum(one.is_right for one in found) / 6)
    assert metrics["test/unparsed"] == 0
    names = {
        "answers.jsonl",
        "settings.json",
        "results.md",
        "results.csv",
        "results.json",
        "results.png",
        "questions.png",
    }
    assert names <= {file.name for file in tmp_path.iterdir()}
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["scoring"] == "likelihood"
    assert settings["dtype"] == "float32"
    assert "Gender Prediction" in (tmp_path / "results.md").read_text()


def test_who_knows_everything_is_always_right_and_who_says_a_is_not(tmp_path: Path) -> None:
    assert asked(tmp_path / "oracle", script="oracle")["test/accuracy"] == 1
    said = asked(tmp_path / "a", script="always_a")["test/accuracy"]
    assert said == pytest.approx(sum(one.right == "A" for one in answers(tmp_path / "a")) / 6)


def test_a_prediction_writes_the_same_as_a_test(tmp_path: Path) -> None:
    asked(tmp_path / "test")
    asked(tmp_path / "predict", stage="predict")
    assert timeless(tmp_path / "test") == timeless(tmp_path / "predict")


def test_what_is_answered_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(tmp_path / "whole")
    asked(tmp_path / "parts", limit=1)
    assert len(answers(tmp_path / "parts")) == 4
    file = tmp_path / "parts" / "answers.jsonl"
    file.write_text(file.read_text() + '{"key": "torn')
    seen: list[str] = []
    test_step = FaceXBenchEvaluator.test_step

    def watched(self: FaceXBenchEvaluator, batch: Any, batch_idx: int) -> Any:
        seen.extend(question.key for question in batch["question"])
        return test_step(self, batch, batch_idx)

    monkeypatch.setattr(FaceXBenchEvaluator, "test_step", watched)
    asked(tmp_path / "parts")
    assert len(seen) == 2
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    seen.clear()
    asked(tmp_path / "parts")  # nothing is left
    assert seen == []
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")


def test_answers_to_questions_that_are_not_asked_now_are_kept(tmp_path: Path) -> None:
    asked(tmp_path, script="oracle")
    before = timeless(tmp_path)
    asked(tmp_path, drawn(tasks=["gender"], limit=2), script="oracle")
    assert "| **all** | 2 |" in (tmp_path / "results.md").read_text()
    assert sorted(timeless(tmp_path), key=str) == sorted(before, key=str)


def test_an_answer_is_read_again_where_what_is_right_was_mended(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "benchmark", files=1)
    asked(tmp_path / "out", FaceXBenchDataModule(questions=str(folder)), script="always_a")
    (file,) = folder.glob("*.json")
    content = json.loads(file.read_text())
    for entry in content["questions"].values():
        entry["correct_answer_option"] = "A"
    file.write_text(json.dumps(content))
    asked(tmp_path / "out", FaceXBenchDataModule(questions=str(folder)), script="always_a")
    assert all(one.is_right for one in answers(tmp_path / "out"))
    assert "| **all** | 4 | 100.0" in (tmp_path / "out" / "results.md").read_text()


def test_a_part_of_a_download_can_be_asked(tmp_path: Path) -> None:
    """Pictures of questions that are not wanted may be missing."""
    folder = write_benchmark(tmp_path / "benchmark", files=2)
    second = json.loads((folder / "set1_multiple_mcq.json").read_text())
    (folder / "set1_multiple_mcq.json").write_text(json.dumps({**second, "sub-category": "headpose"}))
    for picture in (folder / "images" / "set1_multiple_mcq").iterdir():
        picture.unlink()
    wanted = json.loads((folder / "set0_multiple_mcq.json").read_text())["sub-category"]
    asked(tmp_path / "out", FaceXBenchDataModule(questions=str(folder), tasks=[wanted]), script="oracle")
    assert len(answers(tmp_path / "out")) == 4


def test_answers_of_other_settings_are_refused(tmp_path: Path) -> None:
    asked(tmp_path)
    before = (tmp_path / "answers.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match=r"holds answers of other settings .*scoring 'likelihood' there, 'gen"):
        asked(tmp_path, scoring="generate", max_new_tokens=2)
    with pytest.raises(ConfigurationError, match="pictures 'given' there, 'black' now"):
        asked(tmp_path, drawn(pictures="black"))
    with pytest.raises(ConfigurationError, match="weights"):
        asked(tmp_path, tiny=TinySettings(seed=3))
    assert (tmp_path / "answers.jsonl").read_bytes() == before


def test_a_folder_that_another_run_is_writing_is_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / "answers.lock"), pytest.raises(ConfigurationError, match="another run is writing"):
        asked(tmp_path)
    asked(tmp_path)  # the lock of a dead process holds nobody up


def test_a_picture_that_changed_is_asked_again(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "benchmark", files=1)
    data = {"questions": str(folder), "batch_size": 4}
    asked(tmp_path / "out", FaceXBenchDataModule(**data))
    (first, *others) = answers(tmp_path / "out")
    picture = folder / "images/set0_multiple_mcq/question_1_1.png"
    picture.write_bytes((folder / "images/set0_multiple_mcq/question_2_1.png").read_bytes())
    asked(tmp_path / "out", FaceXBenchDataModule(**data))
    again = answers(tmp_path / "out")
    assert again[0].picture_hashes != first.picture_hashes
    assert [one.picture_hashes for one in again[1:]] == [one.picture_hashes for one in others]


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "benchmark", files=1)
    (folder / "images/set0_multiple_mcq/question_2_1.png").write_bytes(b"no picture")
    (folder / "images/set0_multiple_mcq/question_3_2.png").unlink()
    with pytest.raises(ValueError, match=r"question_2_1.png.*question_3_2.png"):
        asked(tmp_path / "stopped", FaceXBenchDataModule(questions=str(folder)))
    assert not (tmp_path / "stopped" / "answers.jsonl").exists()
    data = FaceXBenchDataModule(questions=str(folder), on_error="skip", batch_size=2)
    asked(tmp_path / "skipped", data)
    assert [one.key[-1] for one in answers(tmp_path / "skipped")] == ["1", "4"]
    assert len((tmp_path / "skipped" / "unreadable.csv").read_text().splitlines()) == 3
    told = "2 of 4 questions have no answer: all figures are of the others."
    assert told in (tmp_path / "skipped" / "results.md").read_text()
    assert json.loads((tmp_path / "skipped" / "results.json").read_text())["unanswered"] == 2
    assert issubclass(ImageError, OSError)


def test_options_that_are_turned_are_told(tmp_path: Path) -> None:
    asked(tmp_path, drawn(rotations=4, tasks=["crowd_counting"]), script="oracle")
    found = answers(tmp_path)
    assert [(one.key.split("/")[1], one.rotation) for one in found[:5]] == [
        ("1", 0), ("1", 1), ("1", 2), ("1", 3), ("2", 0),
    ]  # fmt: skip
    assert "right in every order 100.0" in (tmp_path / "results.md").read_text()
    always = tmp_path / "a"
    asked(always, drawn(rotations=4, tasks=["crowd_counting"]), script="always_a")
    assert "right in every order 0.0" in (always / "results.md").read_text()


def test_blind_questions_show_nothing_or_somebody_else(tmp_path: Path) -> None:
    for shown in ("given", "black", "others"):
        asked(tmp_path / shown, drawn(pictures=shown))
    given, black, others = (answers(tmp_path / shown) for shown in ("given", "black", "others"))
    assert len({one.picture_hashes for one in black if one.images == 1}) == 1
    assert all(one.picture_hashes != other.picture_hashes for one, other in zip(given, others, strict=True))
    assert all(one.images == other.images for one, other in zip(given, others, strict=True))
    assert [one.prompt for one in given] == [one.prompt for one in black] == [one.prompt for one in others]


def test_a_question_that_nobody_can_lend_other_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no other question of gender has other pictures than drawn_gender/1"):
        asked(tmp_path, drawn(pictures="others", per_task=1))


def test_what_a_server_costs_is_counted_over_runs(tmp_path: Path) -> None:
    with serving() as server:
        known = {"base_url": server.address, "model": "m", "concurrency": 1, "price_in": 10.0, "price_out": 20.0}
        for _ in range(2):  # the second asks nothing more
            with pytest.raises(ServerError, match="the limit of 330 tokens is reached"):
                asked(tmp_path, scoring="generate", server=ServerSettings(**known, max_tokens=330))
            assert len(server.requests) == 3
        asked(tmp_path, scoring="generate", server=ServerSettings(**known))
        assert len(server.requests) == 6
    assert "600 tokens of questions, 60 of answers; price 0.0072." in (tmp_path / "results.md").read_text()


# Killed.

WORDS = [
    "test", "--config=face_benchmark/demo", "--data.init_args.per_task=8", "--data.init_args.batch_size=2",
    "--data.init_args.image_size=32", "--data.init_args.demo.test=120", "--trainer.enable_progress_bar=false",
]  # fmt: skip


def started(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, cli.__file__, *WORDS, *words, f"--output={folder}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_killed_at_random_moments_it_asks_every_question_once(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert started(whole).wait() == 0
    length = time.monotonic() - began
    drawn_moments = random.Random(0)
    folder, kills = tmp_path / "killed", 0
    for _ in range(20):
        process = started(folder)
        try:
            process.wait(drawn_moments.uniform(0.3, 1.0) * length)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills > 3
    assert started(folder).wait() == 0
    keys = [(one.key, one.rotation) for one in answers(folder)]
    assert len(keys) == len(set(keys)) == 72
    assert timeless(folder) == timeless(whole)


def test_two_processes_are_one(tmp_path: Path) -> None:
    assert started(tmp_path / "one").wait() == 0
    two = started(tmp_path / "two", "--trainer.devices=2", "--trainer.strategy=ddp")
    assert two.wait() == 0
    first, second = timeless(tmp_path / "one"), timeless(tmp_path / "two")
    assert [one.pop("log_probabilities") for one in first] == [
        pytest.approx(one.pop("log_probabilities"), abs=1e-4) for one in second
    ]
    assert first == second
    assert not list((tmp_path / "two").glob("answers.rank*"))
