"""Table and picture of the normality of activations, on activations whose distribution is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from matplotlib.image import imread
from torch.utils.data import DataLoader

from callbacks.face_attributes.normality import NormalityFigure
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics
from tests.running import quiet_trainer
from tests.tables import csv_rows

SCHEMA = AttributeSchema.from_file()
FACES = 400


class Collector(L.LightningModule):
    """Has statistics of a normal and of a skewed layer, as the generator has after its pass."""

    def __init__(self, faces: int) -> None:
        super().__init__()
        self.save_hyperparameters({"attribute_schema": SCHEMA.plain()})
        generator = torch.Generator().manual_seed(0)
        sums = AttributeStatistics(len(SCHEMA.attributes), folds=2, kept=FACES, thumbnail=4)
        labels = (torch.rand((faces, len(SCHEMA.attributes)), generator=generator) < 0.3).to(torch.int8)
        labels[:, SCHEMA.index("Bald")] = 0
        normal = torch.randn((faces, 40), generator=generator)
        images = torch.zeros((faces, 3, 8, 8), dtype=torch.uint8)
        valid = torch.ones(faces, dtype=torch.bool)
        sums.update({"fc6": normal, "fc7": normal.exp()}, labels, valid, torch.arange(faces), images)
        self.statistics = sums.finish()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        return None


def collect(folder: Path, faces: int = FACES, **options: Any) -> None:
    trainer = quiet_trainer(folder, NormalityFigure(**options))
    trainer.validate(Collector(faces), DataLoader([0]), verbose=False)  # type: ignore[arg-type]  # a list is enough


def test_normal_and_skewed_layers(tmp_path: Path) -> None:
    collect(tmp_path)
    found = {entry["layer"]: entry for entry in json.loads((tmp_path / "normality.json").read_text(encoding="utf-8"))}
    normal, skewed = found["fc6"]["rows"][0], found["fc7"]["rows"][0]
    assert (normal["attribute"], normal["faces"], normal["units"]) == ("all faces", FACES, 40)
    assert normal["passed"] > 0.9
    assert normal["passed_rectified"] < 0.1
    assert normal["zeros"] == pytest.approx(0.5, abs=0.03)
    assert skewed["passed"] < 0.1
    rows = {row["attribute"]: row for row in csv_rows(tmp_path / "normality_fc6.csv")}
    assert len(rows) == 74
    assert rows["Bald"] == {**rows["Bald"], "faces": "0", "passed": ""}
    assert imread(tmp_path / "normality_fc6.png").shape[1] > 1000
    assert (tmp_path / "normality_fc7.png").is_file()


def test_chosen_layers_and_too_few_faces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    collect(tmp_path / "one", layers=["fc7"], units=8)
    assert not (tmp_path / "one" / "normality_fc6.csv").exists()
    collect(tmp_path / "few", faces=10)
    assert "normality is not tested" in caplog.text
    assert not (tmp_path / "few").exists()
