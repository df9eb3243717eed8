"""Stores that hold anything a model and operators can put into them, by chance."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.common.errors import StoreError
from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.batch import Detection
from datamodules.inspection.store.exchange.regions import box_of, rle_of
from datamodules.inspection.store.feedback import FeedbackStore

CLASSES = ["dent", 'it\'s "odd"', "scratch"]
WIDTH, HEIGHT = 40, 30
NAMES = ("x/a.png", "y/a.png", "y/a~2.png", "z/turned.jpg", "z/b c.webp")


def pictures(folder: Path) -> list[Path]:
    """Small pictures of one size upright; equal stems in several folders, one that its file stores on its side."""
    paths = [folder / name for name in NAMES]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        size = (WIDTH, HEIGHT)
        if path.stem == "turned":
            exif[0x0112] = 6
            size = size[::-1]
        Image.new("RGB", size, (40 * number, 9, 9)).save(path, exif=exif)
    return paths


def fill(store: FeedbackStore, paths: list[Path], seed: int) -> None:
    """Detections of two runs, answers of two people, drawings, flags, and some of it taken back."""
    chance = random.Random(seed)
    with store.transaction():
        images = [store.add_image(path, file_sha256(path), WIDTH, HEIGHT, chance.randrange(2)) for path in paths]
        for run in range(chance.choice((1, 2))):
            run_id = store.start_run("c" * 64, "d" * 64, dict.fromkeys(CLASSES, 0.5 + run / 10))
            for image_id in images:
                found = [_detection(chance) for _ in range(chance.randrange(4))]
                rows = store.add_detections(run_id, image_id, found, CLASSES)
                for number in range(chance.randrange(8)):
                    try:
                        with store.transaction():
                            _say(store, chance, (run_id, image_id), rows, f"{run_id}-{image_id}-{number}")
                    except StoreError as error:
                        if "take that back first" not in str(error):
                            raise


def _detection(chance: random.Random) -> Detection:
    box, rle = _place(chance)
    score = chance.random()
    return Detection(chance.randrange(len(CLASSES)), score, box, score - 0.5, chance.random(), rle=rle)


def _place(chance: random.Random) -> tuple[tuple[float, float, float, float], str | None]:
    """A box, or a region with the box around it."""
    x, y = chance.uniform(0, WIDTH - 2), chance.uniform(0, HEIGHT - 2)
    box = (x, y, chance.uniform(x + 1, WIDTH), chance.uniform(y + 1, HEIGHT))
    if chance.random() < 0.5:
        return box, None
    mask = np.random.default_rng(chance.randrange(10**6)).random((HEIGHT, WIDTH)) < 0.5
    mask[: int(y)] = mask[:, : int(x)] = False
    region = rle_of(mask)
    around = box_of(region, (WIDTH, HEIGHT))
    return (box, None) if around is None else (around, region)


def _say(store: FeedbackStore, chance: random.Random, place: tuple[int, int], rows: list[int], name: str) -> None:
    run_id, image_id = place
    annotator = chance.choice(("anna", "ben"))
    what = chance.choice(("confirm", "confirm", "reject", "reclass", "skip", "missed", "unknown", "healthy", "undo"))
    if what == "undo":
        for last in store.recent_answers(run_id, annotator, limit=1):
            store.undo(last.id, client_id=name, annotator=annotator)
    elif what in ("missed", "unknown"):
        box, rle = _place(chance)
        store.add_missed(
            client_id=name, run_id=run_id, image_id=image_id, class_name=chance.choice(CLASSES), box=box,
            annotator=annotator, rle=rle, verdict="skip" if what == "unknown" else "confirm",
        )  # fmt: skip
    elif what == "healthy":
        store.answer(client_id=name, run_id=run_id, image_id=image_id, verdict="healthy", annotator=annotator)
    elif rows:
        store.answer(
            client_id=name, run_id=run_id, image_id=image_id, detection_id=chance.choice(rows), annotator=annotator,
            verdict=what, class_name=chance.choice(CLASSES) if what == "reclass" else None,  # type: ignore[arg-type]
        )  # fmt: skip
