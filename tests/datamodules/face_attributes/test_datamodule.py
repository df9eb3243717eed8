"""The data module of faces: on the demo, on a csv, on bare pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.common.errors import ConfigurationError, ImageError, LabelError
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from datamodules.face_attributes.batch import FaceBatch
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.dataset import FaceDataset
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema

DEMO = FaceDemoSettings(train=24, val=6, test=10, photos_per_person=2)


def _demo(demo: FaceDemoSettings = DEMO, batch_size: int = 8, num_workers: int = 0) -> FaceAttributeDataModule:
    return FaceAttributeDataModule(image_size=32, demo=demo, batch_size=batch_size, num_workers=num_workers)


def _ordered(data: FaceAttributeDataModule, epoch: int = 0) -> dict[int, torch.Tensor]:
    """Training pictures by row, as the loader of one epoch gives them."""
    loader = data.train_dataloader()
    assert isinstance(loader.sampler, PaddedDistributedSampler)
    loader.sampler.set_epoch(epoch)
    return {row: image for batch in loader for row, image in zip(batch["index"].tolist(), batch["image"], strict=True)}


def test_a_training_has_no_batch_of_one() -> None:
    demo = FaceDemoSettings(train=25, val=9, test=10, photos_per_person=1)
    assert [len(batch["index"]) for batch in _demo(demo).train_dataloader()] == [8, 8, 8]
    assert [len(batch["index"]) for batch in _demo(demo).val_dataloader()] == [8, 1]


def test_a_batch_keeps_its_contract() -> None:
    batch = next(iter(_demo().val_dataloader()))
    assert set(batch) == set(FaceBatch.__annotations__) - {"values", "error"}  # a drawing has neither
    assert (batch["image"].shape, batch["image"].dtype) == ((6, 3, 32, 32), torch.uint8)
    assert (batch["attributes"].shape, batch["attributes"].dtype) == ((6, 73), torch.int8)
    assert batch["index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert batch["valid"].all()
    assert batch["file"][3] == "demo/seed0/val/epoch0/000003"
    assert batch["identity"][0] == batch["identity"][1] != batch["identity"][2]


def test_the_facts_are_plain_and_known_at_once() -> None:
    data = FaceAttributeDataModule(exclude_attributes=["male", "Attractive Man"])
    assert data.image_size == 224
    assert "Male" not in data.attribute_schema["attributes"]
    saved = FaceAttributeDataModule(attribute_schema=data.attribute_schema, exclude_attributes=["Male"])
    assert saved.attribute_schema == data.attribute_schema
    assert len(FaceAttributeDataModule(attribute_schema="celeba").attribute_schema["attributes"]) == 40


def test_neither_batches_nor_workers_change_a_face() -> None:
    first = _ordered(_demo(batch_size=8))
    second = _ordered(_demo(batch_size=5, num_workers=2))
    assert first.keys() == second.keys() == set(range(24))
    assert all(torch.equal(first[row], second[row]) for row in first)


def test_every_epoch_shows_new_faces_if_wanted() -> None:
    fresh, fixed = _demo(), _demo(FaceDemoSettings(train=24, val=6, test=10, fresh=False))
    assert not torch.equal(_ordered(fresh, 0)[3], _ordered(fresh, 1)[3])
    assert torch.equal(_ordered(fixed, 0)[3], _ordered(fixed, 1)[3])


def test_the_table_says_what_the_batches_say() -> None:
    data = _demo()
    table = data.label_table("test")
    batches = list(data.test_dataloader())
    assert torch.equal(table.attributes, torch.cat([batch["attributes"] for batch in batches]))
    assert table.files == [file for batch in batches for file in batch["file"]]
    assert table.identities == [person for batch in batches for person in batch["identity"]]


def test_judges_see_other_faces() -> None:
    own = FaceAttributeDataModule(image_size=32, demo=DEMO)
    judge = FaceAttributeDataModule(image_size=32, demo=DEMO, fit_on="judge")
    assert not torch.equal(_ordered(own)[0], _ordered(judge)[0])
    first, second = next(iter(own.test_dataloader())), next(iter(judge.test_dataloader()))
    assert torch.equal(first["image"], second["image"])


def test_validating_on_the_training_faces() -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO, validate_on="train", batch_size=10)
    loader = data.val_dataloader()
    assert isinstance(loader.sampler, PaddedDistributedSampler)
    loader.sampler.set_epoch(2)  # a later epoch of the run changes nothing
    batches = list(loader)
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(24))
    table = data.label_table("train")
    assert torch.equal(table.attributes, torch.cat([batch["attributes"] for batch in batches]))
    assert torch.equal(batches[0]["image"][3], _ordered(data)[3])


def test_padding_is_marked() -> None:
    samples = [SampleIndex(1), SampleIndex(0, valid=False)]
    (batch,) = FaceDataset(_demo().faces("val")).__getitems__(samples)
    assert batch["valid"].tolist() == [True, False]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A csv of 12 faces of 6 persons, real values, each picture another grey with the face in a corner."""
    lines = ["file,identity,left,top,right,bottom,Smiling,Bald"]
    for row in range(12):
        image = Image.new("RGB", (40, 30), "black")
        image.paste((20 * row, 20 * row, 20 * row), (10, 5, 30, 25))
        image.save(tmp_path / f"{row}.png")
        lines.append(f"{row}.png,person {row // 2},10,5,30,25,{row - 5.5},{'' if row % 3 else 0.25}")
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_list_of_files(listed: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = FaceAttributeDataModule(
        labels=str(listed), threshold=0, image_size=16, crop_margin=0.0, split=(0.5, 0.25, 0.25), batch_size=4
    )
    data.setup("fit")
    assert "Bald" in caplog.text  # never absent
    batches = [*data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader()]
    files = [file for batch in batches for file in batch["file"]]
    assert sorted(files) == sorted(f"{row}.png" for row in range(12))
    schema = AttributeSchema.from_plain(data.attribute_schema)
    for batch in batches:
        rows = [int(file.removesuffix(".png")) for file in batch["file"]]
        assert batch["image"][:, 0, 8, 8].tolist() == [20 * row for row in rows]
        assert batch["attributes"][:, schema.index("Smiling")].tolist() == [int(row > 5) for row in rows]
        assert batch["attributes"][:, schema.index("Male")].eq(-1).all()
        assert batch["values"].dtype == torch.float32
        assert batch["values"][:, schema.index("Smiling")].tolist() == [row - 5.5 for row in rows]
    people = [set(data.label_table(split).identities) for split in ("train", "val", "test")]
    assert sum(map(len, people)) == len(set.union(*people)) == 6


def test_the_schema_of_a_checkpoint_may_lack_a_column(listed: Path) -> None:
    saved = FaceAttributeDataModule(exclude_attributes=["Bald"]).attribute_schema
    data = FaceAttributeDataModule(labels=str(listed), threshold=0, attribute_schema=saved)
    assert data.label_table("train").attributes.shape[1] == 72


@pytest.mark.parametrize("schema", ["pubfig", "celeba"])
def test_the_schema_of_a_checkpoint_may_lack_what_is_left_out(schema: str) -> None:
    left_out = ["smiling", "attractive_man" if schema == "pubfig" else "No_Beard"]  # in any spelling
    saved = FaceAttributeDataModule(attribute_schema=schema, exclude_attributes=left_out).attribute_schema
    data = FaceAttributeDataModule(attribute_schema=saved, exclude_attributes=left_out)
    assert data.attribute_schema == saved
    with pytest.raises(ConfigurationError, match="did you mean"):
        FaceAttributeDataModule(attribute_schema=saved, exclude_attributes=["Pale Skinn"])


def test_padding_of_a_list_is_black_and_not_read(listed: Path) -> None:
    data = FaceAttributeDataModule(labels=str(listed), threshold=0, image_size=16)
    source = data.faces("train")
    for file in listed.parent.glob("*.png"):
        file.unlink()
    batch = source.batch(torch.tensor([0]), torch.tensor([False]), 0)
    assert (batch["image"] == 0).all()


def test_bare_pictures_are_predicted_not_learned(listed: Path) -> None:
    data = FaceAttributeDataModule(root=str(listed.parent), image_size=16, label_format="images")
    assert len(next(iter(data.predict_dataloader()))["file"]) == 12
    with pytest.raises(ConfigurationError, match="nothing is said of the attributes"):
        data.setup("fit")
    given = FaceAttributeDataModule(path=[str(listed.parent), str(listed.parent / "3.png")], image_size=16)
    given.setup("predict")
    batch = next(iter(given.predict_dataloader()))
    assert len(batch["file"]) == 13
    assert batch["file"][-1] == "3.png"
    assert (batch["attributes"] == -1).all()


def test_bare_pictures_need_no_list_of_labels(listed: Path) -> None:
    data = FaceAttributeDataModule(path=str(listed.parent), image_size=16, label_format="list")
    assert next(iter(data.predict_dataloader()))["image"].shape[1:] == (3, 16, 16)


def test_boxes_for_pictures_to_predict(listed: Path) -> None:
    data = FaceAttributeDataModule(path=str(listed.parent), boxes=str(listed), image_size=16, crop_margin=0.0)
    batch = next(iter(data.predict_dataloader()))
    values = [20 * int(file.removesuffix(".png")) for file in batch["file"]]
    np.testing.assert_array_equal(batch["image"][:, 0, 1, 1].numpy(), values)


def test_a_split_without_faces(listed: Path) -> None:
    data = FaceAttributeDataModule(labels=str(listed), threshold=0, split=(1.0, 0.0, 0.0))
    with pytest.raises(ConfigurationError, match="the split val has no face"):
        data.setup("fit")
    for ask in (data.label_table, data.people):
        with pytest.raises(ConfigurationError, match="the split test has no face"):
            ask("test")


def test_a_picture_that_breaks_after_the_list_was_read(listed: Path) -> None:
    data = FaceAttributeDataModule(labels=str(listed), threshold=0, image_size=16, split=(1.0, 0.0, 0.0))
    faces = data.faces("train")
    for path in listed.parent.rglob("*.png"):
        path.write_bytes(b"torn")
    with pytest.raises(ImageError, match=r"\.png"):
        faces.picture(0)


def test_a_broken_picture_stops_a_training_before_it_begins_and_no_test(listed: Path) -> None:
    broken = sorted(listed.parent.rglob("*.png"))[0]
    broken.write_bytes(broken.read_bytes()[:60])
    options: dict[str, Any] = {"labels": str(listed), "threshold": 0, "image_size": 16, "exclude_attributes": ["Bald"]}
    data = FaceAttributeDataModule(**options, split=(1.0, 0.0, 0.0), validate_on="train")
    with pytest.raises(LabelError, match=f"{broken.name} cannot be read"):
        data.setup("fit")
    skipping = FaceAttributeDataModule(**options, split=(1.0, 0.0, 0.0), validate_on="train", on_error="skip")
    skipping.setup("fit")
    (batch,) = skipping.train_dataloader()
    assert sorted(zip(batch["file"], batch["valid"].tolist(), strict=True))[0] == (broken.name, False)
    assert int(batch["valid"].sum()) == 11
    data.setup("validate")  # as the collection of statistics does
    (batch,) = data.val_dataloader()
    assert int(batch["valid"].sum()) == 11


def test_generated_faces_are_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        FaceAttributeDataModule(demo=FaceDemoSettings(train=4, val=4, test=4), image_size=32).setup("fit")
    assert caplog.records[0].message == "data: generated faces, since none are named"
