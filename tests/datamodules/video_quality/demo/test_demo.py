"""The demo: made once, split by source, scored fairly, safe to interrupt and to make twice at once."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from datamodules.common.errors import VideoError
from datamodules.video_quality.demo.making import demo_folder, make_demo
from datamodules.video_quality.demo.sources import (
    QP_INTERVALS,
    DemoSettings,
    decode,
    draw_source,
    draw_version,
    split_of,
)
from datamodules.video_quality.demo.worker import make_source, record_path
from tests.tables import csv_rows

Row = dict[str, str]


def small(folder: Path | None = None, seed: int = 0, workers: int = 2) -> DemoSettings:
    cache = None if folder is None else str(folder)
    return DemoSettings(sources=12, frames=6, size=96, seed=seed, cache_dir=cache, workers=workers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(small(tmp_path_factory.mktemp("cache")))


def test_manifest_lists_six_versions_of_each_source(folder: Path) -> None:
    rows, details = csv_rows(folder / "manifest.csv"), csv_rows(folder / "details.csv")
    assert list(rows[0]) == ["file", "mos", "pattern", "reference", "split", "x1", "y1", "x2", "y2"]
    assert len(rows) == len(details) == 12 * 6
    assert sorted(p.name for p in folder.iterdir()) == ["clips", "details.csv", "manifest.csv"]
    assert {f"clips/{p.name}" for p in (folder / "clips").iterdir()} == {row["file"] for row in rows}
    for row, detail in zip(rows, details, strict=True):
        low, high = QP_INTERVALS[int(row["pattern"])]
        assert low <= int(detail["qp"]) <= high
        assert 1 <= float(row["mos"]) <= 5
        x1, y1, x2, y2 = (int(row[name]) for name in ("x1", "y1", "x2", "y2"))
        assert 0 <= x1 < x2 <= 96
        assert 0 <= y1 < y2 <= 96
        assert (y2 - y1 < 96) == (detail["layout"] == "stages")
    assert decode(folder / rows[0]["file"]).shape == (6, 96, 96, 3)


def test_sources_stay_in_one_split_and_the_region_moves(folder: Path) -> None:
    rows = csv_rows(folder / "manifest.csv")
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["reference"], set()).add(row["split"])
    assert all(len(names) == 1 for names in splits.values())
    assert set().union(*splits.values()) == {"train", "val", "test"}
    tops = {row["y1"] for row in rows if row["y1"] != "0"}
    assert len(tops) >= 3


def test_scores_follow_quality_and_are_fair_between_contents(folder: Path) -> None:
    rows = csv_rows(folder / "manifest.csv")
    mos = np.array([float(row["mos"]) for row in rows]).reshape(12, 6)
    qp = np.array([int(row["qp"]) for row in csv_rows(folder / "details.csv")])
    between = mos.mean(axis=1).var() / mos.var()
    assert between < 0.2
    assert spearmanr(qp, mos.ravel())[0] < -0.65
    assert mos.std() > 0.7


def test_clips_repeat_and_a_making_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    settings = small(tmp_path)
    partial = demo_folder(settings).with_suffix(".partial")
    for room in ("clips", "records"):
        (partial / room).mkdir(parents=True)
    (partial / "clips" / ".source0005_1.x.partial.mp4").write_bytes(b"torn")
    (partial / "clips" / "source0003_0.mp4").write_bytes(b"a source without its record is made again")
    made = make_source(partial, settings, 4)
    record_path(partial, 4).write_text(json.dumps(made), encoding="utf-8")
    kept = (partial / "clips" / "source0004_2.mp4").stat().st_mtime_ns
    again = make_demo(settings)
    assert (again / "clips" / "source0004_2.mp4").stat().st_mtime_ns == kept
    assert (again / "manifest.csv").read_text() == (folder / "manifest.csv").read_text()
    for clip in (folder / "clips").iterdir():
        assert (again / "clips" / clip.name).read_bytes() == clip.read_bytes()
    assert not partial.exists()


def test_two_processes_at_once(tmp_path: Path, repository: Path) -> None:
    program = (
        "import sys; from datamodules.common import progress; progress._FIRST = 0.0; "  # says at once that it works
        "from datamodules.video_quality.demo.making import DemoSettings, make_demo; "
        "sys.stdout.write(str(make_demo(DemoSettings(sources=4, frames=4, size=64, cache_dir=sys.argv[1]))))"
    )

    def start(_: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start, range(2))
    assert first.stdout == second.stdout
    assert len(csv_rows(Path(first.stdout) / "manifest.csv")) == 24
    assert sorted(("Making" in run.stderr) for run in (first, second)) == [False, True]  # one made, one waited


def test_default_split_has_every_layout_everywhere() -> None:
    settings = DemoSettings()
    splits = split_of(settings)
    assert {name: splits.count(name) for name in ("train", "val", "test")} == {"train": 84, "val": 16, "test": 20}
    for name in ("train", "val", "test"):
        assert {number % 5 for number in range(120) if splits[number] == name} >= {1, 2, 3}
    assert splits == split_of(DemoSettings(workers=5))


def test_bands_and_region_have_qualities_of_their_own() -> None:
    settings = small()
    source = draw_source(settings, 3)
    assert source.layout == "stages"
    _, top, _, bottom = source.region
    treatments = set()
    for pattern in range(6):
        version = draw_version(settings, source, pattern)
        same = version.frames == source.frames
        assert same[:, top:bottom].all() == (version.inside == "none")
        assert (same[:, :top].all() and same[:, bottom:].all()) == (version.outside == "none")
        treatments.add((version.inside == "none", version.outside == "none"))
    assert len(treatments) >= 2


def test_joined_clips_are_scored_by_duration() -> None:
    source = draw_source(small(), 2)
    assert source.layout == "joined"
    assert source.parts[0].stop == source.parts[1].start
    assert (source.parts[0].start, source.parts[1].stop) == (0, 6)
    assert source.region == (0, 0, 96, 96)


def test_a_clip_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file")
    with pytest.raises(VideoError, match=r"source0000_0\.mp4"):
        make_source(tmp_path, small(), 0)
