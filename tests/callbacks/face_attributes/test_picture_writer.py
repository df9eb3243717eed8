"""Faces written as they are made: pictures, files, strips, sheets, and going on with a folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.face_attributes.picture_writer import FaceWriter, caption_of, strip_steps, thinned
from callbacks.figures.sheet import SheetFace, draw_grid, draw_sheet, draw_strip
from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics
from tests.running import quiet_trainer

SCHEMA = AttributeSchema.from_file()
SIZE, STEPS = 24, 50


def request(row: int, asked: list[str], source: bool = False) -> dict[str, Any]:
    attributes = torch.full((len(SCHEMA.attributes),), -1, dtype=torch.int8)
    attributes[[SCHEMA.index(name) for name in asked]] = 1
    attributes[[SCHEMA.index(name) for name in ("Black Hair", "Bangs")]] = 0  # one follows from the hair asked for
    return {
        "attributes": attributes,
        "seed": torch.tensor(100 + row),
        "index": torch.tensor(row),
        "valid": torch.tensor(row < 5),
        "name": f"face_{row}",
        "image": torch.full((3, SIZE, SIZE), 40 * row, dtype=torch.uint8),
        "source": "portrait.jpg" if source else "",
        "labelled": torch.tensor(False),
    }


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: torch.stack([row[name] for row in rows]) if isinstance(rows[0][name], Tensor) else [r[name] for r in rows]
        for name in rows[0]
    }


class Maker(L.LightningModule):
    """Answers as the generator does."""

    def __init__(self, mode: str = "regression") -> None:
        super().__init__()
        self.save_hyperparameters({"attribute_schema": SCHEMA.plain(), "mode": mode})
        self.made: list[int] = []

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        rows = len(batch["name"])
        self.made += batch["index"].tolist()
        attributes = batch["attributes"].clone()
        sourced = torch.tensor([bool(source) for source in batch["source"]])
        attributes[sourced, SCHEMA.index("Bald")] = 1
        generator = torch.Generator().manual_seed(int(batch["seed"][0]))
        image = torch.randint(0, 256, (rows, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        return {
            "image": image,
            "strip": torch.stack([image // 4 * part for part in range(1, 4)], dim=1),
            "history": torch.linspace(2, 0.5, STEPS)[:, None].expand(STEPS, rows),
            "attributes": attributes,
            "opinion": attributes.clamp_min(0).float() * 0.9,
            "target_distance": {"fc6": torch.arange(rows) + 0.5},
            "loss": torch.full((rows,), 0.5),
            "similarity": torch.where(sourced, 0.7, torch.nan),
            "features": torch.zeros(rows, 4096),
        }


def generate(folder: Path, model: Maker, faces: int = 6, brighter: int = 0, **options: Any) -> None:
    rows = [request(row, ["Smiling", "Gray Hair", "Eyeglasses"], source=row == 3) for row in range(faces)]
    for row in rows:
        row["image"] = row["image"] + brighter
    loader: DataLoader[Any] = DataLoader(rows, batch_size=4, collate_fn=collate)  # type: ignore[arg-type]  # a list
    quiet_trainer(folder, FaceWriter(**options)).predict(model, loader, return_predictions=False)


def facts_of(path: Path) -> Any:
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def times_of(folder: Path, pattern: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(pattern)}


def test_files_of_faces(tmp_path: Path) -> None:
    generate(tmp_path, Maker(), columns=3, sheet_faces=4)
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"face_{row}.{ending}" for row in range(5) for ending in ("png", "json")} < names
    assert "face_5.png" not in names  # padding
    assert {"sheet.png", "sheet_2.png", "faces.json", "face_3_source.png"} < names
    assert Image.open(tmp_path / "face_1.png").size == (SIZE, SIZE)
    facts = facts_of(tmp_path / "face_1")
    assert facts["asked_for"] == ["Eyeglasses", "Smiling", "Gray Hair"]
    assert (facts["asked_to_be_absent"], facts["excluded"]) == (["Bangs"], ["Black Hair"])
    assert (facts["seed"], facts["mode"], facts["steps"]) == (101, "regression", STEPS)
    assert facts["target_distance"] == {"fc6": 1.5}
    assert facts["loss"] == 0.5
    assert facts["own_agreement"] == 1.0
    assert facts["own_opinion"]["Smiling"] == pytest.approx(0.9)
    assert (facts["history"][0], facts["history"][-1], len(facts["history"])) == (2, 0.5, 40)
    assert not {"source", "similarity", "features", "taken_to_be"} & set(facts)
    sourced = facts_of(tmp_path / "face_3")
    assert sourced["similarity"] == pytest.approx(0.7)
    assert sourced["attributes_by"] == "the request, and of the rest the classifier"
    assert "Bald" in sourced["taken_to_be"]
    assert [face["name"] for face in facts_of(tmp_path / "faces")] == [f"face_{row}" for row in range(5)]
    strip = np.asarray(Image.open(tmp_path / "strips" / "face_0.png"))
    assert strip.shape[1] > 3 * 132


def test_what_no_counted_face_shows_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sums = AttributeStatistics(len(SCHEMA.attributes), folds=2, kept=4)
    attributes = torch.full((4, len(SCHEMA.attributes)), -1, dtype=torch.int8)
    attributes[:, [SCHEMA.index("Smiling"), SCHEMA.index("Bald")]] = torch.tensor([1, 0], dtype=torch.int8)
    faces = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    sums.update({"fc6": torch.randn(4, 5)}, attributes, torch.ones(4, dtype=torch.bool), torch.arange(4), faces)
    model: Any = SimpleNamespace(statistics=sums.finish())
    for text in ("Smiling, no Male", "Smiling, Male, Bald"):
        trainer: Any = SimpleNamespace(datamodule=AttributeRequestDataModule(text), is_global_zero=True)
        FaceWriter().on_predict_start(trainer, model)
    assert [record.getMessage().partition(" known to show ")[2][:12] for record in caplog.records] == ["Male, Bald, "]


def test_steps_below_a_strip_and_losses_of_a_face_that_rests() -> None:
    assert strip_steps(4, None, 30) == [0, 10, 20, 30]
    assert strip_steps(4, 30, 15) == [0, 10, 15, 15]  # it rested
    assert strip_steps(4, 30, 40) == [0, 10, 20, 40]  # it was finished
    alone = torch.tensor([3.0, 2.0, 1.0])
    beside = torch.cat([alone, alone[-1].expand(60)])
    assert thinned(beside) == thinned(alone) == [3, 2, 1]
    assert thinned(torch.empty(0)) == []


def test_the_same_command_goes_on(tmp_path: Path) -> None:
    generate(tmp_path, Maker())
    (tmp_path / "face_2.png").unlink()
    (tmp_path / "face_4.json").write_text("{", encoding="utf-8")
    before = times_of(tmp_path, "face_*")
    generate(tmp_path, Maker())
    after = times_of(tmp_path, "face_*")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"face_2.png", "face_2.json", "face_4.png", "face_4.json"}
    generate(tmp_path, Maker("paper"))
    assert facts_of(tmp_path / "face_0")["mode"] == "paper"
    assert len(facts_of(tmp_path / "faces")) == 5


def asked(count: int = 3, **options: Any) -> AttributeRequestDataModule:
    return AttributeRequestDataModule("Smiling, Eyeglasses", count=count, batch_size=2, **options)


def generate_requests(folder: Path, model: Maker, data: AttributeRequestDataModule, **options: Any) -> None:
    quiet_trainer(folder, FaceWriter(**options)).predict(model, datamodule=data, return_predictions=False)


def test_a_source_that_cannot_be_read_ends_no_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"torn")
    wanted = tmp_path / "wanted.csv"
    wanted.write_text("attributes,name,file\nSmiling,a,a.png\nSmiling,b,./b.png\nBald,c,\n")
    with caplog.at_level("INFO"):
        generate_requests(tmp_path / "out", Maker(), AttributeRequestDataModule(from_list=str(wanted), batch_size=2))
    assert [face["name"] for face in facts_of(tmp_path / "out/faces")] == ["a_seed0", "c_seed0"]
    assert "2 faces, 1 of 3 not readable" in caplog.text
    assert "b.png cannot be read" in (tmp_path / "out" / "unreadable.csv").read_text()


def test_faces_that_are_done_are_not_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    generate_requests(tmp_path, first := Maker(), asked())
    assert first.made == [0, 1, 2]
    facts = facts_of(tmp_path / "eyeglasses_smiling_seed1")
    assert facts["files"] == ["eyeglasses_smiling_seed1.png", "strips/eyeglasses_smiling_seed1.png"]
    (tmp_path / "strips" / "eyeglasses_smiling_seed1.png").unlink()
    generate_requests(tmp_path, second := Maker(), asked(count=5))
    assert second.made == [1, 3, 4]  # the index is that of all
    assert [face["index"] for face in facts_of(tmp_path / "faces")] == [0, 1, 2, 3, 4]
    (tmp_path / "sheet.png").unlink()
    with caplog.at_level("INFO"):
        generate_requests(tmp_path, third := Maker(), asked(count=4))
    assert third.made == []
    assert "4 of 4 faces were made before and are reused" in caplog.text
    assert (tmp_path / "sheet.png").is_file()
    assert len(facts_of(tmp_path / "faces")) == 4
    generate_requests(tmp_path, other := Maker("paper"), asked())
    assert other.made == [0, 1, 2]


def test_strips_that_were_not_wanted_before_are_made(tmp_path: Path) -> None:
    generate_requests(tmp_path, Maker(), asked(), strips=False)
    generate_requests(tmp_path, same := Maker(), asked(), strips=False)
    generate_requests(tmp_path, more := Maker(), asked())
    generate_requests(tmp_path, fewer := Maker(), asked(), strips=False)
    assert (same.made, more.made, fewer.made) == ([], [0, 1, 2], [])


def test_a_source_that_changed_is_made_again(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 150, 120)).save(tmp_path / "a.png")
    Image.new("RGB", (40, 40), (100, 150, 120)).save(tmp_path / "b.png")
    (tmp_path / "list.csv").write_text("file,Smiling\na.png,1\nb.png,\n")

    def data() -> AttributeRequestDataModule:
        return AttributeRequestDataModule(from_list=str(tmp_path / "list.csv"), image_size=SIZE)

    generate_requests(tmp_path / "out", first := Maker(), data())
    generate_requests(tmp_path / "out", second := Maker(), data())
    Image.new("RGB", (40, 40), (90, 150, 120)).save(tmp_path / "b.png")
    generate_requests(tmp_path / "out", third := Maker(), data())
    assert (first.made, second.made, third.made) == ([0, 1], [], [1])


def test_sheets_show_the_faces_of_the_command_alone(tmp_path: Path) -> None:
    generate(tmp_path, Maker(), sheet_faces=2)
    assert (tmp_path / "sheet_3.png").is_file()
    generate(tmp_path, Maker(), faces=3, sheet_faces=2)
    assert [face["name"] for face in facts_of(tmp_path / "faces")] == ["face_0", "face_1", "face_2"]
    assert (tmp_path / "sheet_2.png").is_file()
    assert not (tmp_path / "sheet_3.png").exists()
    assert (tmp_path / "face_4.png").is_file()  # an earlier command's, left alone


def test_another_picture_of_the_same_name_makes_another_face(tmp_path: Path) -> None:
    generate(tmp_path, Maker())
    before = times_of(tmp_path, "face_*.json")
    generate(tmp_path, Maker(), brighter=5)
    after = times_of(tmp_path, "face_*.json")
    assert {name for name in after if after[name] != before[name]} == {"face_3.json"}


def test_without_strips_and_with_a_folder_of_its_own(tmp_path: Path) -> None:
    generate(tmp_path / "run", Maker(), output=str(tmp_path / "faces"), strips=False)
    assert (tmp_path / "faces" / "sheet.png").is_file()
    assert not (tmp_path / "faces" / "strips").exists()
    assert not (tmp_path / "run").exists()


def test_captions() -> None:
    assert caption_of({"asked_for": [], "asked_to_be_absent": []}) == "nothing asked for"
    many = caption_of({"asked_for": list(SCHEMA.attributes[:20]), "asked_to_be_absent": ["Bald"] * 5})
    assert many.endswith(", and 8 more")


def test_sheets_of_one_and_of_uneven_faces() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    one = draw_sheet([SheetFace((picture,), "Smiling")], columns=8, heading="a heading that is wider than one face is")
    assert one.width > 200
    pair = draw_sheet([SheetFace((picture, picture), "Smiling"), SheetFace((picture,), "x", "note")], columns=2)
    assert np.asarray(pair)[60, 40].tolist() == [0, 0, 0]
    grid = draw_grid([[picture] * 3] * 2, ["first", "second"], ["a", "b", "c"], "modes")
    assert grid.width > grid.height
    assert draw_strip([picture] * 4, [0, 10, 20, 30]).width > 4 * 132
