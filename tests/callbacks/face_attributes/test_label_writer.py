"""AttributeWriter: a row a face, in order, whatever breaks off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from callbacks.face_attributes.label_writer import AttributeWriter, read_answers
from datamodules.common.errors import ConfigurationError, ImageError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.lists.table import read_csv_list
from datamodules.faces.schema import AttributeSchema
from tests.running import quiet_trainer
from tests.tables import csv_rows


class Says(L.LightningModule):
    """Says that face i shows the first attribute when i is even."""

    def __init__(self, stop_at: int = 99) -> None:
        super().__init__()
        self.attribute_schema = {"attributes": ["Smiling", "Bald, nearly"]}
        self.stop_at = stop_at

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        if batch_idx == self.stop_at:
            raise RuntimeError("stop")
        even = (batch["index"] % 2 == 0).float()
        probability = torch.stack([even * 0.9, torch.full_like(even, 0.25)], dim=1)
        return {"probability": probability, "decision": (probability > 0.5).to(torch.int8)}


class Faces(Dataset[Any]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> Any:
        index = torch.tensor([2 * number + 1, 2 * number])  # not in order
        return {"index": index, "valid": index != 5, "file": [f"ü{row}.png" for row in index.tolist()]}


def predict(folder: Path, module: L.LightningModule) -> None:
    trainer = quiet_trainer(folder, AttributeWriter(str(folder / "out")))
    trainer.predict(module, DataLoader(Faces(), batch_size=None), return_predictions=False)


def test_both_lists_hold_every_face_in_order(tmp_path: Path) -> None:
    predict(tmp_path, Says())
    table = csv_rows(tmp_path / "out" / "attributes.csv")
    assert [row["file"] for row in table] == [f"ü{number}.png" for number in range(5)]  # the padding is left out
    assert [row["Smiling"] for row in table] == ["1", "0", "1", "0", "1"]
    assert {row["Bald, nearly"] for row in table} == {"0"}
    assert csv_rows(tmp_path / "out" / "probabilities.csv")[0] == {
        "file": "ü0.png",
        "Smiling": "0.9",
        "Bald, nearly": "0.25",
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["attributes.csv", "probabilities.csv"]


def test_what_cannot_be_said_stays_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Says):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            said = super().predict_step(batch, batch_idx)
            said["probability"][:, 1], said["decision"][:, 1] = float("nan"), -1
            return said

    with caplog.at_level("INFO"):
        predict(tmp_path, Silent())
    assert "no training face had a label for them: Bald, nearly" in caplog.text
    for name in ("attributes.csv", "probabilities.csv"):
        table = csv_rows(tmp_path / "out" / name)
        assert [row["Bald, nearly"] for row in table] == [""] * 5
        assert all(row["Smiling"] for row in table)


def test_a_run_that_breaks_off_leaves_valid_lists(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        predict(tmp_path, Says(stop_at=2))
    assert len(csv_rows(tmp_path / "out" / "attributes.csv")) == 4


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = '{"row": 1, "file": "a", "decision": [1], "probability": [0.9]}\n'
    (tmp_path / "answers.rank0.jsonl").write_text(line + line[:20])
    assert [answer.file for answer in read_answers(tmp_path / "answers.rank0.jsonl")] == ["a"]
    assert "a line that is no answer was dropped" in caplog.text


def test_another_model_is_told_to_leave_it_out(tmp_path: Path) -> None:
    class Silent(Says):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return {}

    class Nameless(Says):
        attribute_schema = None

        def __init__(self) -> None:
            L.LightningModule.__init__(self)

    with pytest.raises(ConfigurationError, match="with attribute_schema, but Nameless has none"):
        predict(tmp_path, Nameless())
    with pytest.raises(ConfigurationError, match="returns `probability` and `decision`: leave it out"):
        predict(tmp_path, Silent())


def test_a_picture_that_cannot_be_read_has_an_empty_row_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["a.png", "broken.png", "c.png"]
    for name in names:
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    data = FaceAttributeDataModule(path=str(tmp_path), image_size=16, batch_size=2)
    trainer = quiet_trainer(tmp_path, AttributeWriter(str(tmp_path / "out")))
    with caplog.at_level("INFO"):
        trainer.predict(Says(), datamodule=data, return_predictions=False)
    table = csv_rows(tmp_path / "out" / "attributes.csv")
    assert [(row["file"], row["Smiling"]) for row in table] == [("a.png", "1"), ("broken.png", ""), ("c.png", "1")]
    assert [bool(row["error"]) for row in table] == [False, True, False]
    assert "broken.png cannot be read" in table[1]["error"]
    assert "2 faces, 1 not readable" in caplog.text
    head = {"name": "h", "kind": "overlapping", "attributes": ["Smiling", "Bald, nearly"]}
    again = read_csv_list(tmp_path / "out/attributes.csv", tmp_path, AttributeSchema.from_plain({"heads": [head]}))
    assert again.names == ["a.png", "c.png"]  # the list can be read as labels all the same
    for name in names:
        (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(ImageError, match="not one of the 3 pictures could be read"):
        trainer.predict(Says(), datamodule=data, return_predictions=False)
