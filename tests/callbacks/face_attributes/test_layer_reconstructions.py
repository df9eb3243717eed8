"""Table and picture of reconstructions by layer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from PIL import Image

from callbacks.face_attributes.layer_reconstructions import LayerReconstructions
from lightning_modules.face_attributes.inversion.reconstruction import LayerReconstruction
from tests.running import quiet_trainer
from tests.tables import csv_rows

SIDE = 16


def found(offset: float) -> dict[str, torch.Tensor]:
    images = torch.full((2, 3, SIDE, SIDE), int(offset), dtype=torch.uint8)
    measures = torch.tensor([0.1, 0.2]), torch.tensor([offset, 2.0]), torch.tensor([0.9, 0.8])
    return asdict(LayerReconstruction(images, *measures))


def write(folder: Path, layers: dict[str, Any], valid: list[bool]) -> None:
    """Write a batch of two faces, as a prediction does."""
    writer, trainer, module = LayerReconstructions(), quiet_trainer(folder), L.LightningModule()
    images = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)
    batch = {"image": images, "index": torch.tensor([1, 0]), "valid": torch.tensor(valid), "file": ["b.png", "a.png"]}
    writer.on_predict_start(trainer, module)
    writer.on_predict_batch_end(trainer, module, {"layers": layers} if layers else {}, batch, 0)
    writer.on_predict_end(trainer, module)


def test_a_row_for_each_face_and_layer_and_one_picture(tmp_path: Path) -> None:
    write(tmp_path, {"conv1_1": found(30), "fc6": found(10)}, [True, True])
    rows = csv_rows(tmp_path / "reconstructions.csv")
    assert [(row["file"], row["layer"]) for row in rows] == [
        ("a.png", "conv1_1"), ("a.png", "fc6"), ("b.png", "conv1_1"), ("b.png", "fc6"),
    ]  # fmt: skip
    assert [float(row["psnr"]) for row in rows] == [2, 2, 30, 10]
    assert Image.open(tmp_path / "reconstructions.png").size[1] > 2 * SIDE


def test_padding_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"fc6": found(10)}, [False, True])
    assert len((tmp_path / "reconstructions.csv").read_text().splitlines()) == 2


def test_another_mode_makes_no_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {}, [True, True])
    assert "reconstruct" in caplog.text
    assert not (tmp_path / "reconstructions.csv").exists()
