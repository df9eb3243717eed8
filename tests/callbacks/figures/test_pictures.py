"""Pictures reach W&B and TensorBoard alike, bounded in number and bytes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.figures.pictures import MOST, send_picture, within_bytes
from tests.running import quiet_trainer


def noise(path: Path, side: int) -> Path:
    """A picture that no PNG makes smaller: 3 bytes a pixel."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return path


def test_both_loggers_get_the_same_pictures_and_no_more_than_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    boards = TensorBoardLogger(tmp_path, name="", version="board")
    runs = WandbLogger(save_dir=tmp_path, offline=True)
    trainer = quiet_trainer(tmp_path, logger=[boards, runs])
    picture = noise(tmp_path / "a.png", 8)
    for _ in range(4 * MOST):
        send_picture(trainer, "val/panel", picture)
    send_picture(trainer, "test/panel", picture)
    boards.experiment.flush()
    shown = EventAccumulator(boards.log_dir, {"images": 0}).Reload()
    assert {name: len(shown.Images(name)) for name in shown.Tags()["images"]} == {
        "val/panel": MOST + 2,
        "test/panel": 1,
    }
    runs.experiment.finish()
    media = tmp_path.glob("wandb/offline-run-*/files/media/images/*/panel_*.png")
    kinds = [path.parent.name for path in media]
    assert (kinds.count("val"), kinds.count("test")) == (MOST + 2, 1)


def test_a_large_picture_is_halved_until_it_is_small(tmp_path: Path) -> None:
    saved = noise(tmp_path / "a.png", 256)
    assert within_bytes(saved).size == (256, 256)
    smaller = within_bytes(saved, most=20_000)
    assert smaller.size == (64, 64)
    held = BytesIO()
    smaller.save(held, format="PNG")
    assert held.tell() < 20_000
    assert Image.open(saved).size == (256, 256)
