"""Every shipped configuration of video quality parses and runs: fit, test and predict."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import cli
from tests.configs.shipped import config_options, configs_of, runs, tried
from tests.tables import csv_rows

TRAINING = [path for path in configs_of("video_quality") if path.name != "score.yaml"]


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


@pytest.mark.parametrize(("path", "fast"), runs(TRAINING))
def test_fit_test_and_predict(
    path: Path,
    fast: bool,
    video_tree: Path,
    smallest_network: list[str],
    tmp_path: Path,
) -> None:
    common = [*config_options(path), *data_options(path, video_tree), *smallest_network, *TRAINER]
    common.append("--data.init_args.clip_length=8")
    checkpoint = tried(tmp_path, fast, *common)
    if checkpoint is None:
        return
    assert (checkpoint.parents[1] / "config.yaml").is_file()
    assert (checkpoint.parents[2] / "test_scatter.png").is_file()
    command = ["predict", "--config", "video_quality/score", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
    command += [f"--data.init_args.path={video_tree / 'train' / '0001.mp4'}", f"--output={tmp_path / 'scores'}"]
    assert cli.main(command) == 0
    rows = csv_rows(tmp_path / "scores" / "scores.csv")
    assert len(rows) == 1
    assert rows[0]["status"] == "ok"
    assert math.isfinite(float(rows[0]["score_raw"]))
    assert 1 <= float(rows[0]["score_1_5"]) <= 5
