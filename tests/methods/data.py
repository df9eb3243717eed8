"""Generated data of all methods, in numbers that two processes cannot share without padding."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.inspection.demo.making import make_inspection_demo
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.video.writing.encode import encode_video
from datamodules.video_quality.demo.making import make_demo as make_videos
from datamodules.video_quality.demo.sources import DemoSettings

PARTS = {"original_train": 12, "new_train": 9, "original_val": 3, "new_val": 4, "original_test": 4, "new_test": 5}
PARTS |= {"size": 64}
FACES = {"train": 39, "val": 9, "test": 13}
VIDEOS = {"train": slice(0, 13), "val": slice(13, 18), "test": slice(18, 23)}  # of 24 versions of 4 sources
_CLASSES = 3
_CLIPS = 5


def make_data(folder: Path) -> Path:
    """Videos with scores, pictures of faces and parts, and clips of actions; the rest is drawn when it is asked for."""
    _videos(folder)
    _clips(folder)
    (folder / "faces").mkdir()
    drawn = draw_parameters(5, "test", torch.arange(9), 0, FaceDemoSettings())
    for number, picture in enumerate(render(drawn, 32)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / "faces" / f"{number}.png")
    parts = make_inspection_demo(InspectionDemoSettings(**PARTS))
    (folder / "to_mine").mkdir()
    for file in sorted((parts / "images").iterdir())[:13]:
        shutil.copy(file, folder / "to_mine" / file.name)
    return folder


def _videos(folder: Path) -> None:
    made = make_videos(DemoSettings(sources=4, frames=8, size=64, workers=1))
    (folder / "videos").symlink_to(made)
    header, *rows = (made / "manifest.csv").read_text().splitlines()
    rows = [rows[number] for number in np.random.default_rng(0).permutation(len(rows))]
    for split, part in VIDEOS.items():
        (folder / f"{split}.csv").write_text("\n".join([header, *rows[part]]) + "\n")
    (folder / "to_score").mkdir()
    for row in rows[VIDEOS["test"]]:
        file = made / row.partition(",")[0]
        shutil.copy(file, folder / "to_score" / file.name)


def _clips(folder: Path) -> None:
    noise = np.random.default_rng(0)
    for number in range(_CLASSES):
        (folder / "clips" / f"action {number}").mkdir(parents=True)
        for clip in range(_CLIPS):
            frames = noise.integers(0, 90, (10, 48, 64, 3)).astype(np.uint8)
            frames[..., number] += 120
            encode_video(folder / "clips" / f"action {number}" / f"clip {clip}.mp4", frames, fps=10, qp=20)
    (folder / "to_annotate").mkdir()
    for number in range(_CLASSES):
        name = f"action {number}/clip 0.mp4"
        shutil.copy(folder / "clips" / name, folder / "to_annotate" / f"clip {number}.mp4")


def answer(store: FeedbackStore, number: int = 8) -> None:
    """Answers to what a model has found, every second one a yes."""
    run = store.runs()[0].id
    for place, item in enumerate(store.next_items(run, "test", limit=number)):
        store.answer(
            client_id=f"test-{place}",
            run_id=run,
            image_id=item.image_id,
            detection_id=item.id,
            verdict="reject" if place % 2 else "confirm",
            annotator="test",
            milliseconds=900,
        )
