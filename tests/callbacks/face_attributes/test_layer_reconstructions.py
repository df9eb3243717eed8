"""Table and picture of reconstructions by layer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

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


def trainer(folder: Path) -> L.Trainer:
    return quiet_trainer(folder)


def batch(valid: list[bool]) -> dict[str, object]:
    return {
        "image": torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8),
        "index": torch.tensor([1, 0]),
        "valid": torch.tensor(valid),
        "file": ["b.png", "a.png"],
    }


def test_a_row_for_each_face_and_layer_and_one_picture(tmp_path: Path) -> None:
    writer, run, module = LayerReconstructions(), trainer(tmp_path), L.LightningModule()
    writer.on_predict_start(run, module)
    outputs = {"layers": {"conv1_1": found(30), "fc6": found(10)}}
    writer.on_predict_batch_end(run, module, outputs, batch([True, True]), 0)  # type: ignore[arg-type]  # the parts it reads
    writer.on_predict_end(run, module)
    rows = csv_rows(tmp_path / "reconstructions.csv")
    assert [(row["file"], row["layer"]) for row in rows] == [
        ("a.png", "conv1_1"), ("a.png", "fc6"), ("b.png", "conv1_1"), ("b.png", "fc6"),
    ]  # fmt: skip
    assert [float(row["psnr"]) for row in rows] == [2, 2, 30, 10]
    assert Image.open(tmp_path / "reconstructions.png").size[1] > 2 * SIDE


def test_padding_is_left_out(tmp_path: Path) -> None:
    writer, run, module = LayerReconstructions(), trainer(tmp_path), L.LightningModule()
    writer.on_predict_start(run, module)
    outputs = {"layers": {"fc6": found(10)}}
    writer.on_predict_batch_end(run, module, outputs, batch([False, True]), 0)  # type: ignore[arg-type]  # the same
    writer.on_predict_end(run, module)
    assert len((tmp_path / "reconstructions.csv").read_text().splitlines()) == 2


def test_another_mode_makes_no_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer, run, module = LayerReconstructions(), trainer(tmp_path), L.LightningModule()
    writer.on_predict_start(run, module)
    writer.on_predict_batch_end(run, module, {}, batch([True, True]), 0)  # type: ignore[arg-type]  # the same
    writer.on_predict_end(run, module)
    assert "reconstruct" in caplog.text
    assert not (tmp_path / "reconstructions.csv").exists()
