"""The README's commands as they are typed, one after the other in one folder, the commands that they print likewise.

Only what makes them small is added behind: few epochs, small networks, no download.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cli
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import Verdict
from datamodules.video.writing.encode import encode_video
from tests.datamodules.face_benchmark.benchmark_files import write_benchmark

ROOT = Path(cli.__file__).parent
APPRAISE = Path(sys.executable).parent / "appraise"
EPOCHS = ["--trainer.max_epochs", "2", "--trainer.accelerator", "cpu"]
TINY = ["--model.init_args.pretrained", "false", "--model.init_args.backbone", "test_resnet"]
# Section -> what stands in a line -> what is added behind it.
SMALLER = {
    "Your own parts": {" fit ": [*EPOCHS, "--model.init_args.backbone", "small", "--data.init_args.crop_size", "32"]},
    "Your own actions": {" fit ": [*EPOCHS, *TINY, "--data.init_args.frame_size", "64"]},
    "Your own faces": {
        " fit ": [*EPOCHS, *TINY, "--data.init_args.image_size", "48", "--data.init_args.num_workers", "0"],
        " validate ": ["--data.init_args.num_workers", "0", "--data.init_args.image_size", "48"],
    },
    "Your own generator": {
        " fit ": [*EPOCHS, "--data.init_args.batch_size", "8"],
        "diffusion/demo": ["--model.init_args.channels", "[8,16]", "--model.init_args.attention_levels", "[1]"],
        "diffusion/tune": ["--trainer.callbacks.samples", "16", "--trainer.callbacks.every", "3"],
        " predict ": ["--data.init_args.samples", "8"],
    },
    "Your own language model": {
        " fit ": [*EPOCHS],
        "face_benchmark/": ["--data.init_args.per_task", "3", "--data.init_args.image_size", "32"],
    },
}

pytestmark = pytest.mark.slow


def commands_of(section: str) -> list[str]:
    """Lines of the bash blocks below a heading."""
    text = (ROOT / "README.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("appraise ")]


def typed(line: str, folder: Path, more: list[str]) -> str:
    """Run a command line in a folder; its standard output."""
    words = [str(APPRAISE), *shlex.split(line)[1:], *more]
    environment = {**os.environ, "APPRAISE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (line, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    for noise in ("INFO:", "Tip:", "UserWarning", "FutureWarning"):
        assert noise not in done.stderr, (line, done.stderr)
    return done.stdout


def run_section(section: str, folder: Path, skipped: str = "nothing of it") -> None:
    """Type a section's commands, and what each names as next."""
    smaller: dict[str, Any] = SMALLER.get(section, {})
    for line in commands_of(section):
        command = line.split()[1]
        if command == "mentor":
            answer_all(line, folder)
            continue
        if skipped in line:
            continue
        out = typed(line, folder, [word for part, words in smaller.items() if part in line for word in words])
        for following in re.findall(r"^next: (appraise (?:test|predict|annotate) .*)$", out, flags=re.MULTILINE):
            typed(following, folder, [])


def answer_all(line: str, folder: Path) -> None:
    """Open the page, answer everything in its store, and press Ctrl-C."""
    words = [str(APPRAISE), *shlex.split(line)[1:], "--port", "0"]
    page = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert page.stdout is not None
    assert page.stdout.readline().startswith("http://127.0.0.1:")
    store = FeedbackStore(folder / "mined/feedback.sqlite")
    (run,) = store.runs()
    for number, found in enumerate(store.detections(run.id)):
        verdict: Verdict = "confirm" if number % 2 else "reject"
        own: dict[str, Any] = {"run_id": run.id, "image_id": found.image_id, "detection_id": found.id}
        store.answer(client_id=f"c{number}", annotator="me", verdict=verdict, **own)
    page.send_signal(signal.SIGINT)
    assert page.stdout.read().splitlines()[-1].startswith(f"stopped: {len(store.answers())} answers stored in ")
    assert page.wait(30) == 0


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_your_own_parts_and_what_leaves_the_package(workplace: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("FOLDER/images", "FOLDER/masks", "NEW_IMAGES"):
        (workplace / name).mkdir(parents=True)
    for number in range(24):
        image = rng.integers(90, 110, (64, 64)).astype(np.uint8)
        mask = np.zeros((64, 64), np.uint8)
        x, y = rng.integers(4, 44, 2)
        if number % 3:
            image[y : y + 16, x : x + 16] = 220
            mask[y : y + 16, x : x + 16] = 255
        Image.fromarray(image).save(workplace / f"FOLDER/images/{number:02}.png")
        Image.fromarray(mask).save(workplace / f"FOLDER/masks/{number:02}.png")
        Image.fromarray(image[::-1]).save(workplace / f"NEW_IMAGES/{number:02}.png")
    run_section("Your own parts", workplace)
    assert (workplace / "runs/parts_mentored/version_0/checkpoints/best.ckpt").is_file()
    run_section("Leave the package", workplace)
    assert (workplace / "found/feedback.sqlite").is_file()
    assert "runs/parts_mentored/version_0" in typed("appraise runs", workplace, [])


def test_your_own_actions(workplace: Path, clip_tree: Path) -> None:
    shutil.copytree(clip_tree, workplace / "FOLDER")
    frames = np.random.default_rng(0).integers(0, 200, (30, 48, 64, 3)).astype(np.uint8)
    encode_video(workplace / "kitchen.mp4", frames, fps=10, qp=20)
    run_section("Your own actions", workplace)
    assert (workplace / "annotated/segments.json").is_file()


def test_your_own_faces(workplace: Path, face_tree: Path) -> None:
    shutil.copytree(face_tree, workplace / "FOLDER")
    run_section("Your own faces", workplace)
    assert len(list((workplace / "made").glob("*.png"))) >= 8
    run_section("Your own generator", workplace)
    assert (workplace / "measured" / "page.html").is_file()


def test_your_own_language_model(workplace: Path, face_tree: Path, language_model: Path) -> None:
    shutil.copytree(face_tree, workplace / "PICTURES")
    shutil.copytree(language_model, workplace / "MODEL")
    write_benchmark(workplace / "FOLDER")
    run_section("Your own language model", workplace)
    assert "Attributes Prediction" in (workplace / "before/results.md").read_text()
    assert (workplace / "compared.html").is_file()


def test_your_own_videos(workplace: Path, video_tree: Path, small_demo: list[str], smallest_network: list[str]) -> None:
    typed("appraise fit --config video_quality/demo", workplace, [*EPOCHS, *small_demo, *smallest_network])
    shutil.copytree(video_tree / "train", workplace / "FOLDER")
    run_section("Your own videos", workplace, skipped="FAST_VQA.pth")  # the weights cannot be had by a test
    assert (workplace / "scores/scores.csv").is_file()
