"""``predict`` on folders: rows, errors by name, reuse of rows, overlays; on generated and on real files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cli
from callbacks.video_quality.score_rows import FIELDS
from datamodules.video.writing.encode import encode_video
from tests.tables import csv_rows

# Files that must not be readable, and the folder they are in.
UNREADABLE = {"error_test.mp4", "corrupted.mp4"}


def predict(checkpoint: Path, path: Path, output: Path, *more: str) -> list[dict[str, str]]:
    """Rows of scores.csv after a prediction."""
    command = ["predict", "--config", "video_quality/score", f"--ckpt_path={checkpoint}", f"--output={output}"]
    command += [f"--data.init_args.path={path}", "--trainer.accelerator=cpu", *more]
    assert cli.main(command) == 0
    rows = csv_rows(output / "scores.csv")
    lines = [json.loads(line) for line in (output / "scores.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [row["file"] for row in rows]
    return rows


@pytest.fixture
def folder(tmp_path: Path, video_tree: Path) -> Path:
    """Three good videos, one of them of one frame, and three bad files."""
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(video_tree / "train" / "0001.mp4", folder / "a.mp4")
    shutil.copy(video_tree / "train" / "0009.mp4", folder / "deep" / "b.mp4")
    encode_video(folder / "one_frame.mp4", np.full((1, 40, 60, 3), 90, np.uint8), fps=10, qp=20)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video")
    whole = (video_tree / "train" / "0002.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


def test_one_row_per_file_and_every_failure_by_name(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    rows = {Path(row["file"]).name: row for row in predict(checkpoint, folder, tmp_path / "out")}
    assert set(rows) == {"a.mp4", "b.mp4", "one_frame.mp4", "empty.mp4", "text.mp4", "truncated.mp4"}
    assert tuple(rows["a.mp4"]) == FIELDS
    for name in ("a.mp4", "b.mp4", "one_frame.mp4"):
        assert rows[name]["status"] == "ok", rows[name]
        assert np.isfinite(float(rows[name]["score_raw"]))
        assert rows[name]["upsampled"] == "True"
        assert float(rows[name]["seconds"]) > 0
    assert rows["one_frame.mp4"]["frames_decoded"] == "1"
    for name in ("empty.mp4", "text.mp4", "truncated.mp4"):
        assert rows[name]["status"] == "error"
        assert name in rows[name]["error"]
        assert rows[name]["score_raw"] == ""


def test_a_second_run_reuses_rows_and_scores_what_changed(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    first = {row["file"]: row for row in predict(checkpoint, folder, tmp_path / "out")}
    # A marked row shows whether it is reused or made anew.
    marked = (tmp_path / "out" / "scores.jsonl").read_text().replace('"clips": 3', '"clips": 33')
    (tmp_path / "out" / "scores.jsonl").write_text(marked)
    (folder / "empty.mp4").unlink()
    again = {Path(row["file"]).name: row for row in predict(checkpoint, folder, tmp_path / "out")}
    assert again["a.mp4"]["clips"] == "33"
    shutil.copy(folder / "deep" / "b.mp4", folder / "a.mp4")
    changed = {Path(row["file"]).name: row for row in predict(checkpoint, folder, tmp_path / "out")}
    assert changed["a.mp4"]["clips"] == "3"
    assert changed["b.mp4"]["clips"] == "33"
    assert changed["a.mp4"]["score_raw"] == first[str(folder / "deep" / "b.mp4")]["score_raw"]
    other = predict(checkpoint, folder, tmp_path / "out", "--data.init_args.eval_clips=2")
    assert {row["clips"] for row in other if row["status"] == "ok"} == {"2"}


def test_a_renamed_copy_scores_the_same(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "a.mp4", folder / "deep" / "another_name.mp4")
    rows = {Path(row["file"]).name: row for row in predict(checkpoint, folder, tmp_path / "out")}
    assert rows["a.mp4"]["score_raw"] == rows["another_name.mp4"]["score_raw"]


@pytest.mark.parametrize(("kind", "suffix"), [("sheet", ".png"), ("video", ".mp4")])
def test_overlays_are_written_on_request(
    folder: Path, checkpoint: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    options = ["--trainer.callbacks+=RegionOverlay", f"--trainer.callbacks.kind={kind}"]
    predict(checkpoint, folder, tmp_path / "out", *options)
    drawn = sorted((tmp_path / "out" / "regions").iterdir())
    assert [path.suffix for path in drawn] == [suffix] * 3


def test_predict_without_weights_says_how_to_get_some(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", "--config", "video_quality/score", "--model=KSVQE", f"--data.init_args.path={folder}"]
    assert cli.main(command) != 0
    assert "ckpt_path" in capsys.readouterr().err


def test_a_configuration_of_another_method_is_named(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", "action/annotate", "--ckpt_path", str(checkpoint), "--data.path", str(tmp_path)]
    assert cli.main(["predict", *words]) != 0
    assert "KSVQE cannot work on the data of ActionDataModule: take a configuration of video" in capsys.readouterr().err


def test_nothing_that_can_be_read_is_an_error(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.mp4").write_text("not a video")
    command = ["predict", "--config", "video_quality/score", f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'o'}"]
    assert cli.main([*command, f"--data.init_args.path={tmp_path / 'in'}", "--trainer.accelerator=cpu"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("appraise predict: not one video can be read: ")
    assert [row["status"] for row in csv_rows(tmp_path / "o" / "scores.csv")] == ["error"]


def test_an_empty_folder_is_an_error(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nothing").mkdir()
    command = ["predict", "--config", "video_quality/score", f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'o'}"]
    assert cli.main([*command, f"--data.init_args.path={tmp_path / 'nothing'}"]) != 0
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_real_files(shared_dir: Path, checkpoint: Path, tmp_path: Path) -> None:
    for number, room in enumerate(("vqa/videos", "action")):
        source = shared_dir / "data" / room
        files = {path for path in source.rglob("*") if path.suffix in (".mp4", ".mkv", ".mov", ".avi")}
        rows = predict(checkpoint, source, tmp_path / f"first{number}", "--data.init_args.eval_clips=1")
        assert {Path(row["file"]) for row in rows} == {path.absolute() for path in files}
        failed = {Path(row["file"]).name for row in rows if row["status"] == "error"}
        assert failed == UNREADABLE & {path.name for path in files}
        assert all(Path(row["file"]).name in row["error"] for row in rows if row["status"] == "error")
        again = predict(checkpoint, source, tmp_path / f"second{number}", "--data.init_args.eval_clips=1")
        assert [row["score_raw"] for row in again] == [row["score_raw"] for row in rows]
