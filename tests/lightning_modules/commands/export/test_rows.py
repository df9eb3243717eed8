"""What an exported network says of files is what ``predict`` says of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cli
from tests.lightning_modules.commands.export.conftest import Exported
from tests.running import REPOSITORY
from tests.tables import csv_rows

Export = Callable[[str], Exported]


def run_exported(made: Exported, place: Path, output: Path, *more: str) -> None:
    assert cli.main(["run-exported", str(made.folder), str(place), f"--output={output}", "--threads=1", *more]) == 0


def predict(made: Exported, config: str, place: Path, output: Path, *more: str) -> None:
    command = ["predict", "--config", config, f"--ckpt_path={made.checkpoint}", f"--output={output}"]
    assert cli.main([*command, f"--data.init_args.path={place}", "--trainer.accelerator=cpu", *more]) == 0


def test_rows_of_videos(exported: Export, videos: Path, tmp_path: Path) -> None:
    made = exported("quality")
    predict(made, "video_quality/score", videos, tmp_path / "torch", "--data.init_args.eval_clips=2")
    run_exported(made, videos, tmp_path / "graph")
    ours, theirs = (csv_rows(tmp_path / name / "scores.csv") for name in ("torch", "graph"))
    assert [row["status"] for row in theirs] == ["ok", "ok", "error"]
    assert any(row["upsampled"] == "True" for row in theirs)
    numbers, apart = ("score_raw", "score_1_5", "score_std"), ("seconds", "reader", "error")
    for own, other in zip(ours, theirs, strict=True):
        assert list(own) == list(other)
        assert bool(own["error"]) == bool(other["error"])
        assert {**own, **dict.fromkeys((*numbers, *apart))} == {**other, **dict.fromkeys((*numbers, *apart))}
        for name in numbers if own["status"] == "ok" else ():
            assert float(own[name]) == pytest.approx(float(other[name]), abs=1e-5), name


def test_nothing_that_can_be_read_is_an_error(
    exported: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, file in {"quality": "a.mp4", "actions": "a.mp4", "faces": "a.png"}.items():
        place = tmp_path / name
        place.mkdir()
        (place / file).write_text("neither")
        command = ["run-exported", str(exported(name).folder), str(place), f"--output={tmp_path / 'rows' / name}"]
        assert cli.main(command) == 1, name
        assert "1 of the files cannot be read" in capsys.readouterr().err


def test_rows_of_a_stopped_run_are_reused(exported: Export, videos: Path, tmp_path: Path) -> None:
    made = exported("quality")
    run_exported(made, videos, tmp_path)
    lines = tmp_path / "scores.jsonl"
    lines.write_text(lines.read_text().replace('"clips": 2', '"clips": 22'))
    run_exported(made, videos, tmp_path)
    assert sorted(row["clips"] for row in csv_rows(tmp_path / "scores.csv")) == ["", "22", "22"]


def test_attributes_of_faces(exported: Export, pictures: Path, tmp_path: Path) -> None:
    made = exported("faces")
    predict(made, "face_attributes/predict", pictures, tmp_path / "torch")
    run_exported(made, pictures, tmp_path / "graph")
    for name, tolerance in (("attributes.csv", 0.0), ("probabilities.csv", 2e-4)):
        ours, theirs = (csv_rows(tmp_path / folder / name) for folder in ("torch", "graph"))
        for own, other in zip(ours, theirs, strict=True):
            file = own.pop("file")
            assert file == other.pop("file")
            errors = own.pop("error"), other.pop("error")
            if file == "text.png":
                assert all("cannot be read" in error for error in errors)
                assert {*own.values(), *other.values()} == {""}
                continue
            first = next(iter(own))
            assert own.pop(first) == other.pop(first) == ""  # never labelled
            assert np.allclose(list(map(float, own.values())), list(map(float, other.values())), atol=tolerance)


def test_segments_of_videos(exported: Export, videos: Path, tmp_path: Path) -> None:
    made = exported("actions")
    command = ["annotate", str(videos), f"--ckpt_path={made.checkpoint}", f"--output={tmp_path / 'torch'}"]
    assert cli.main([*command, "--video=false", "--figures=false", "--trainer.accelerator=cpu"]) == 0
    run_exported(made, videos, tmp_path / "graph")
    names = [file.name for file in (tmp_path / "graph").iterdir()]
    assert {"small.frames.csv", "large.segments.csv", "segments.json", "summary.csv"} <= set(names)
    for name in ("small.segments.csv", "large.srt", "segments.json", "summary.csv"):
        assert (tmp_path / "torch" / name).read_text() == (tmp_path / "graph" / name).read_text(), name
    ours, theirs = (csv_rows(tmp_path / folder / "large.frames.csv") for folder in ("torch", "graph"))
    for own, other in zip(ours, theirs, strict=True):
        assert own.pop("state") == other.pop("state")
        assert np.allclose(list(map(float, own.values())), list(map(float, other.values())), atol=2e-4)
    before = (tmp_path / "graph" / "small.frames.csv").stat().st_mtime_ns
    run_exported(made, videos, tmp_path / "graph")
    assert (tmp_path / "graph" / "small.frames.csv").stat().st_mtime_ns == before


def stored(folder: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(folder / "feedback.sqlite") as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT path, d.* FROM detection d JOIN image i ON i.id = image_id ORDER BY d.id")
        return [dict(row) for row in found]


def number(value: Any) -> Any:
    """What is compared to a tolerance; the rest must be equal."""
    if isinstance(value, bytes):
        return np.frombuffer(value, np.float16).astype(np.float64)
    return np.asarray(value)


@pytest.mark.parametrize("name", ["segmenter", "detector"])
@pytest.mark.parametrize("tile", [None, 64])
def test_defects_of_parts(exported: Export, pictures: Path, tmp_path: Path, name: str, tile: int | None) -> None:
    made = exported(name)
    if tile is not None:
        made = Exported(made.checkpoint, tiled(made.folder, tmp_path / "tiled", tile))
    more = [] if tile is None else [f"--model.init_args.tile_size={tile}", "--model.init_args.tile_overlap=32"]
    predict(made, "inspection/mine", pictures, tmp_path / "torch", *more)
    run_exported(made, pictures, tmp_path / "graph")
    ours, theirs = stored(tmp_path / "torch"), stored(tmp_path / "graph")
    assert len({row["path"] for row in theirs}) == 3
    for own, other in zip(ours, theirs, strict=True):
        boxes = [np.array(json.loads(row.pop("anchor_boxes"))) for row in (own, other)]
        assert np.allclose(*boxes, atol=2e-3)
        for column, value in own.items():
            if isinstance(value, float | bytes):
                assert np.allclose(number(value), number(other[column]), atol=2e-3), column
            else:
                assert value == other[column], column
    maps = [sorted((tmp_path / folder).glob("*.maps/*/*.npz")) for folder in ("torch", "graph")]
    for own, other in zip(*maps, strict=True):
        assert np.allclose(np.load(own)["score"], np.load(other)["score"], atol=1e-3)


def tiled(folder: Path, target: Path, tile: int) -> Path:
    """The same export with tiles: what stands beside the graph may be edited."""
    shutil.copytree(folder, target)
    content = json.loads((target / "export.json").read_text())
    content["facts"] |= {"tile_size": tile, "tile_overlap": 32}
    (target / "export.json").write_text(json.dumps(content))
    return target


@pytest.mark.parametrize("name", ["quality", "actions", "faces", "segmenter", "detector"])
def test_no_torch_is_imported(exported: Export, pictures: Path, videos: Path, tmp_path: Path, name: str) -> None:
    place = videos if name in ("quality", "actions") else pictures
    script = (
        "import sys, cli\ncode = cli.main(sys.argv[1:])\n"
        "print(code, sorted({'torch', 'lightning', 'torchvision', 'timm'} & set(sys.modules)))\n"
    )
    command = ["run-exported", str(exported(name).folder), str(place), f"--output={tmp_path}", "--threads=1"]
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr
