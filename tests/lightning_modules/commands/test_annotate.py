"""``appraise annotate`` on real files with a small untrained network: arguments, errors, files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from datamodules.video.writing.encode import encode_video
from lightning_modules.action.module import FrameAveragingActionRecognizer
from lightning_modules.commands.annotate import predict_arguments
from lightning_modules.commands.front.errors import CommandLineError
from tests.methods import process
from tests.running import Command, save_checkpoint
from tests.tables import csv_rows

NAMES = ["drinking", "cooking", "飲む"]


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the smallest network, untrained, at 32 pixels."""
    torch.manual_seed(0)
    model = FrameAveragingActionRecognizer(
        class_names=NAMES, frame_size=32, backbone="test_resnet", train_backbone="all", hidden_features=8
    )
    return save_checkpoint(model, tmp_path_factory.mktemp("model") / "best.ckpt")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of noise, of an odd size as players upload it."""
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (20, 46, 62, 3), dtype=np.uint8)
    return encode_video(tmp_path_factory.mktemp("video") / "küche.mp4", frames, 20)


@pytest.fixture
def annotate(appraise: Command, recognizer: Path) -> Command:
    """Run `appraise annotate SOURCE` with the recogniser into the folder `out`."""
    options = ["--ckpt_path", str(recognizer), "--output", "out", "--trainer.accelerator", "cpu"]
    return lambda source, *more: appraise("annotate", str(source), *options, *more)


def last_line(result: Any) -> str:
    return str(result.err.strip().splitlines()[-1])


def test_bare_names_reach_the_writer_and_the_stream() -> None:
    words = "--action drinking a.mp4 --rate=5 --show --trainer.accelerator cpu --leave 0.3"
    assert predict_arguments(words.split()) == [
        "--config=action/annotate",
        "--data.init_args.path=a.mp4",
        "--data.init_args.chunk_frames=8",
        "--trainer.callbacks.init_args.action=drinking",
        "--data.init_args.rate=5",
        "--trainer.callbacks.init_args.show=true",
        "--trainer.callbacks.init_args.leave=0.3",
        "--trainer.accelerator=cpu",
    ]


def test_switches_take_a_value_only_where_one_stands() -> None:
    assert predict_arguments(["--video", "false", "--legacy", "-"])[1:] == [
        "--config=action/annotate_legacy",
        "--data.init_args.path=-",
        "--trainer.callbacks.init_args.video=false",
    ]
    assert "--print_config=skip_default" in predict_arguments(["--print_config=skip_default"])
    own = predict_arguments(["a.mp4", "--config", "mine.yaml", "--enter", "0.6"])
    assert own[:2] == ["--config=action/annotate", "--config=mine.yaml"]


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], "SOURCE"), (["--ckpt_path", "a.ckpt"], "SOURCE"), (["a.mp4", "b.mp4"], "b.mp4")]
)
def test_one_source_it_must_be(arguments: list[str], expected: str) -> None:
    with pytest.raises(CommandLineError, match=expected):
        predict_arguments(arguments)


def test_everything_is_written(annotate: Command, video: Path, workdir: Path) -> None:
    options = ["--enter", "0.1", "--seconds", "0.2", "--action", "飲む"]
    options += ["--leave", "0.1"]  # the shipped one is above this `enter`
    result = annotate(video, *options)
    assert result.code == 0, result.err
    assert "1 annotated" in result.out
    written = {path.name for path in (workdir / "out").iterdir()}
    for suffix in (".mp4", ".segments.csv", ".srt", ".vtt", ".frames.csv", ".png", ".timeLabel.json"):
        assert f"küche{suffix}" in written
    assert {"segments.json", "summary.json", "summary.csv"} <= written
    rows = csv_rows(workdir / "out" / "küche.frames.csv")
    assert len(rows) == 20
    assert {row["state"] for row in rows} <= {"飲む", "computing..."}
    summary = json.loads((workdir / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["sources"][0]["frames"] == 20
    again = annotate(video, *options)
    assert again.code == 0
    assert "1 of them before" in again.out


def test_the_checkpoint_says_how_large_frames_are(annotate: Command, video: Path, workdir: Path) -> None:
    assert annotate(video, "--video", "false", "--figures=false").code == 0
    assert "frame_size: 32" in (workdir / "out" / "config.yaml").read_text(encoding="utf-8")
    assert not (workdir / "out" / "küche.mp4").exists()


def test_legacy_is_the_whole_original(annotate: Command, video: Path, workdir: Path) -> None:
    assert annotate(video, "--legacy", "--action", "cooking").code == 0
    written = {path.name for path in (workdir / "out").iterdir()}
    assert {"küche.avi", "küche.timeLabel.json", "küche.png"} <= written
    assert "küche.mp4" not in written
    text = (workdir / "out" / "config.yaml").read_text(encoding="utf-8")
    for line in ("enter: 0.0", "window: 128", "computing_until_full: false", "seconds: null"):
        assert line in text


def test_an_unknown_action_is_answered_with_the_nearest(annotate: Command, video: Path) -> None:
    result = annotate(video, "--action", "drinkin")
    assert result.code == 1
    assert last_line(result).startswith("appraise annotate: ")
    assert "drinking" in last_line(result)


def test_a_window_without_a_display_and_a_camera_that_is_not_there(
    annotate: Command, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    shown = annotate(video, "--show")
    assert shown.code == 1
    assert "--show" in last_line(shown)
    if os.path.exists("/dev/video97"):  # noqa: PTH110  # a device, not a file
        pytest.skip("there is a camera 97")
    missing = annotate("camera:97")
    assert missing.code == 1
    assert "97" in last_line(missing)


def test_a_missing_file_is_one_sentence(annotate: Command) -> None:
    result = annotate("nowhere.mp4")
    assert result.code == 2
    assert "nowhere.mp4" in last_line(result)


def test_a_value_of_the_wrong_kind_is_named(annotate: Command, video: Path) -> None:
    result = annotate(video, "--seconds", "two")
    assert result.code == 2
    assert last_line(result).endswith("seconds: expected float or null, got two")


def test_without_a_checkpoint(appraise: Command, video: Path) -> None:
    result = appraise("annotate", str(video), "--model", "FrameAveragingActionRecognizer", "--output", "out")
    assert result.code == 2
    assert "--ckpt_path" in result.err


def test_sigterm_ends_a_live_source_with_valid_files(recognizer: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    part = encode_video(tmp_path / "part.ts", frames, 20).read_bytes()
    table = tmp_path / "out" / "stdin.frames.csv"
    arguments = ["annotate", "-", "--ckpt_path", str(recognizer), "--trainer.accelerator", "cpu", "--seconds", "0.2"]
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments, "--output", str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        hung = threading.Timer(400, run.kill)  # also where a full pipe blocks
        hung.start()
        try:
            sent = False
            while run.poll() is None:
                with contextlib.suppress(BrokenPipeError):
                    run.stdin.write(part)  # a sender that never ends
                    run.stdin.flush()
                if not sent and table.is_file() and table.read_bytes().count(b"\n") > 60:
                    run.send_signal(signal.SIGTERM)
                    sent = True
                time.sleep(0.2)
        finally:
            hung.cancel()
            run.kill()
            with contextlib.suppress(BrokenPipeError):
                run.stdin.close()
            said = run.stdout.read()
    assert sent, said.decode()
    assert run.returncode == 0, said.decode()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["status"]) for one in summary["sources"]] == [("stdin", "stopped")]
    with av.open(str(tmp_path / "out" / "stdin.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 60
    assert (tmp_path / "out" / "stdin.png").is_file()
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_ctrl_c_leaves_valid_files_and_the_same_command_goes_on(
    appraise: Command, recognizer: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "videos").mkdir()
    for name, count in (("a", 20), ("b", 2500)):
        pictures = np.broadcast_to(generator.integers(0, 255, (1, 48, 64, 3), dtype=np.uint8), (count, 48, 64, 3))
        encode_video(tmp_path / "videos" / f"{name}.mp4", pictures, 20)
    output = tmp_path / "out"
    table = output / "b.frames.csv"
    arguments = ["annotate", str(tmp_path / "videos"), "--ckpt_path", str(recognizer), "--output", str(output)]
    arguments += ["--trainer.accelerator", "cpu", "--seconds", "0.5"]
    run = process.start([arguments], tmp_path / "said.txt")
    while run.is_alive() and not (table.is_file() and table.read_bytes().count(b"\n") > 60):
        time.sleep(0.02)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGINT)
    assert process.wait([run]) == [130]
    assert "stopped by Ctrl-C; anything written so far is kept" in (tmp_path / "said.txt").read_text()
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert [one["status"] for one in summary["sources"]] == ["ok", "stopped"]
    rows = csv_rows(table)
    assert 60 <= len(rows) == summary["sources"][1]["frames"] < 2500
    with av.open(str(output / "b.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(rows)
    assert (output / "b.segments.csv").is_file()
    assert not [path.name for path in output.iterdir() if path.name.startswith(".")]
    again = appraise(*arguments)
    assert again.code == 0, again.err
    assert "1 source was annotated before and is reused" in again.err
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert [(one["status"], one["frames"]) for one in summary["sources"]] == [("ok", 20), ("ok", 2500)]


@pytest.mark.slow
def test_the_live_window_on_a_display_without_a_screen(
    recognizer: Path, video: Path, display: str, tmp_path: Path
) -> None:
    # In a process of its own: Xlib ends the process when its server goes away.
    arguments = ["annotate", str(video), "--ckpt_path", str(recognizer), "--show", "--trainer.accelerator", "cpu"]
    run = subprocess.run(
        [sys.executable, "-m", "cli", *arguments, "--output", str(tmp_path / "out")],
        env={**os.environ, "DISPLAY": display},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "1 annotated" in run.stdout
    assert (tmp_path / "out" / "küche.mp4").is_file()
