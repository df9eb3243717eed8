"""Every shipped configuration parses and runs: fit, test and predict, with and without ``fast_dev_run``."""

from __future__ import annotations

import csv
import math
import re
import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import cli

CONFIGS = Path(cli.__file__).parent / "configs"
QUALITY = sorted((CONFIGS / "video_quality").rglob("*.yaml"))
TRAINING = [path for path in QUALITY if path.name != "score.yaml"]


def name_of(path: Path) -> str:
    return path.relative_to(CONFIGS).with_suffix("").as_posix()


def config_options(path: Path) -> list[str]:
    """The ``--config`` options of the command in the file's first line."""
    words = shlex.split(path.read_text().splitlines()[0].removeprefix("#"))
    return [word for at, word in enumerate(words) if word == "--config" or (at and words[at - 1] == "--config")]


def data_options(path: Path, tree: Path) -> list[str]:
    """The generated tree in the configuration's own format."""
    if path.name == "demo.yaml":
        demo = '{"sources": 6, "frames": 8, "size": 64, "val_fraction": 0.34, "test_fraction": 0.34, "workers": 1}'
        return [f"--data.init_args.demo={demo}", "--data.init_args.batch_size=6"]
    labels = tree / ("konvid.txt" if path.name == "konvid.yaml" else "kvq.csv")
    return [
        f"--data.init_args.root={tree}",
        f"--data.init_args.labels={labels}",
        f"--data.init_args.rank_pairs={tree / 'pairs.csv'}",
        "--data.init_args.batch_size=5",
        "--data.init_args.val_fraction=0.2",
        "--data.init_args.eval_clips=2",
        "--data.init_args.frame_interval=1",
        "--data.init_args.num_workers=0",
    ]


TRAINER = [
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.max_epochs=1",
    "--trainer.precision=32-true",
    "--trainer.limit_train_batches=2",
]


@pytest.mark.parametrize("path", QUALITY, ids=name_of)
def test_first_line_is_the_command_that_runs_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert re.match(r"# python cli\.py (fit|predict) --config configs/", first), first
    assert f"configs/{name_of(path)}.yaml" in first
    for option in config_options(path)[1::2]:
        assert (CONFIGS.parent / option).is_file(), option


@pytest.mark.parametrize("path", QUALITY, ids=name_of)
def test_every_key_has_a_comment(path: Path, check_comments: Callable[[Path], None]) -> None:
    check_comments(path)


def runs() -> list[Any]:
    """Every configuration, fast and real; the real runs of the ablations differ by a switch alone and take minutes."""
    cases = []
    for path, fast in product(TRAINING, (True, False)):
        marks = [pytest.mark.slow] if path.parent.name == "ablations" and not fast else []
        cases.append(pytest.param(path, fast, id=f"{name_of(path)}-{'fast_dev_run' if fast else 'real'}", marks=marks))
    return cases


@pytest.mark.parametrize(("path", "fast"), runs())
def test_fit_test_and_predict(
    path: Path,
    fast: bool,
    video_tree: Path,
    smallest_network: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    common = [*config_options(path), *data_options(path, video_tree), *smallest_network, *TRAINER]
    common += ["--data.init_args.clip_length=8", f"--output={tmp_path / 'run'}"]
    if fast:
        assert cli.main(["fit", *common, "--trainer.fast_dev_run=1", "--test_after_fit=false"]) == 0
        return
    assert cli.main(["fit", *common]) == 0
    checkpoint = next((tmp_path / "run").rglob("best.ckpt"))
    run = checkpoint.parents[1]
    assert (run / "config.yaml").is_file()
    assert (run / "run.json").is_file()
    assert (run / "test_scatter.png").is_file()

    assert cli.main(["test", *common, f"--ckpt_path={checkpoint}"]) == 0
    command = ["predict", "--config", "video_quality/score", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
    command += [f"--data.init_args.path={video_tree / 'train' / '0001.mp4'}", f"--output={tmp_path / 'scores'}"]
    assert cli.main(command) == 0
    with (tmp_path / "scores" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert rows[0]["status"] == "ok"
    assert math.isfinite(float(rows[0]["score_raw"]))
    assert 1 <= float(rows[0]["score_1_5"]) <= 5
