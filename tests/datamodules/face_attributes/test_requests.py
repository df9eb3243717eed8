"""Requests for faces, written, listed, drawn and taken from pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from datamodules.common.errors import ConfigurationError, ImageError, LabelError
from datamodules.face_attributes.batch import AttributeRequestBatch
from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule
from datamodules.face_attributes.requests import parse_attributes, request_name, thinned
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema

SCHEMA = AttributeSchema.from_file()
DEMO = FaceDemoSettings(train=8, val=8, test=24)


def _said(wanted: torch.Tensor) -> dict[str, int]:
    return {name: value for name, value in zip(SCHEMA.attributes, wanted.tolist(), strict=True) if value != -1}


def _batches(data: AttributeRequestDataModule) -> list[AttributeRequestBatch]:
    return list(data.predict_dataloader())


def test_reading_a_request() -> None:
    assert _said(parse_attributes("smiling, wearing_hat;no bangs, -Male, without Goatee", SCHEMA)) == {
        "Smiling": 1,
        "Frowning": 0,  # of the same group, of which a face has one
        "Wearing Hat": 1,
        "Bangs": 0,
        "Male": 0,
        "Goatee": 0,
    }


def test_attributes_that_begin_with_no() -> None:
    assert _said(parse_attributes(["no beard"], SCHEMA)) == {"No Beard": 1, "Goatee": 0}
    assert _said(parse_attributes("-No Beard", SCHEMA)) == {"No Beard": 0}
    assert _said(parse_attributes("No Eyewear", SCHEMA)) == {"No Eyewear": 1, "Eyeglasses": 0, "Sunglasses": 0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Smilling", 'no attribute "Smilling": did you mean Smiling'),
        ("no Bang", "did you mean Bangs"),
        ("Bald, Blond Hair", '"Blond Hair" and "Bald" exclude each other; ask for one of them, or add --force'),
        ("Black Hair, Gray Hair", '"Black Hair" and "Gray Hair" exclude each other'),
        ("Smiling, no Smiling", '"Smiling" is asked for and denied'),
        ("-No Eyewear, -Eyeglasses, -Sunglasses", "all of No Eyewear, Eyeglasses, Sunglasses are denied"),
        (" , ", "names no attribute"),
    ],
)
def test_what_cannot_be_asked_for(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_attributes(text, SCHEMA)


def test_force_tries_it(caplog: pytest.LogCaptureFixture) -> None:
    wanted = parse_attributes("Bald, Blond Hair", SCHEMA, force=True)
    assert _said(wanted)["Bald"] == _said(wanted)["Blond Hair"] == 1
    assert "exclude each other; the face is tried all the same" in caplog.text


def test_names_of_files() -> None:
    wanted = parse_attributes("Gray Hair, 5 o'Clock Shadow, no Bangs", SCHEMA)
    assert request_name(wanted, SCHEMA) == "gray_hair_5_o_clock_shadow_no_bangs"
    assert len(request_name(torch.ones(73), SCHEMA)) <= 60


def test_a_few_things_of_all() -> None:
    full = parse_attributes("Smiling, Eyeglasses, Gray Hair, Bangs, Male, Wearing Hat", SCHEMA)
    few = thinned(full, 3, SCHEMA, seed=4)
    assert int((few == 1).sum()) == 3
    assert ((full == 1) | (few != 1)).all()
    assert torch.equal(few, thinned(full, 3, SCHEMA, seed=4))
    assert not torch.equal(few, thinned(full, 3, SCHEMA, seed=5))


def test_a_request_as_batches() -> None:
    data = AttributeRequestDataModule("Smiling, Eyeglasses", count=5, seed=7, batch_size=2)
    batches = _batches(data)
    assert [len(batch["seed"]) for batch in batches] == [2, 2, 1]
    assert torch.cat([batch["seed"] for batch in batches]).tolist() == [7, 8, 9, 10, 11]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == [0, 1, 2, 3, 4]
    names = [name for batch in batches for name in batch["name"]]
    assert names[0] == "eyeglasses_smiling_seed7"
    assert len(set(names)) == 5
    first = batches[0]
    assert first["attributes"].dtype == torch.int8
    assert first["valid"].all()
    assert first["labelled"].all()
    assert first["source"] == ["", ""]
    assert "image" not in first
    assert data.attributes.shape == (5, 73)
    assert AttributeSchema.from_plain(data.attribute_schema) == SCHEMA


def test_exactly_one_thing_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="named nowhere; give one of attributes"):
        AttributeRequestDataModule()
    with pytest.raises(ConfigurationError, match="by from_list and attributes"):
        AttributeRequestDataModule("Smiling", from_list="x.csv")
    with pytest.raises(ConfigurationError, match="count is 0"):
        AttributeRequestDataModule("Smiling", count=0)
    with pytest.raises(ConfigurationError, match=r"the seed of smiling is 9223372036854775807; .*for 2 faces"):
        AttributeRequestDataModule("Smiling", count=2, seed=2**63 - 1)
    with pytest.raises(ConfigurationError, match=r"from_image is .*there is no such file"):
        AttributeRequestDataModule(from_image=str(tmp_path / "x.png"))


def test_from_a_picture(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), (10, 20, 30))
    image.paste((200, 100, 50), (20, 10, 40, 30))
    image.save(tmp_path / "a face.png")
    data = AttributeRequestDataModule(
        "Wearing Hat", from_image=str(tmp_path / "a face.png"), box=(20, 10, 40, 30), image_size=16, crop_margin=0.0
    )
    (batch,) = _batches(data)
    assert batch["labelled"].tolist() == [False]
    assert _said(batch["attributes"][0]) == {"Wearing Hat": 1}  # the rest the classifier says
    assert batch["image"].shape == (1, 3, 16, 16)
    assert batch["image"][0, :, 8, 8].tolist() == [200, 100, 50]
    assert batch["name"] == ["a_face_seed0"]


def test_a_box_beside_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    with pytest.raises(ConfigurationError, match=r"box is \[70.* which is 60x40 pixels"):
        AttributeRequestDataModule(from_image=str(tmp_path / "a.png"), box=(70, 10, 90, 30))


def test_from_a_list_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text('attributes,name,seed\n"Smiling, Bald",one,3\nEyeglasses,,\nEyeglasses,,\n')
    (batch,) = _batches(AttributeRequestDataModule(from_list=str(path), count=2, seed=10))
    names = [("one", 3), ("one", 4), *((name, seed) for name in ("eyeglasses", "eyeglasses_2") for seed in (10, 11))]
    assert batch["name"] == [f"{name}_seed{seed}" for name, seed in names]
    path.write_text("attributes,name\nSmiling,a\nEyeglasses,a\nBangs,a_2\nBald,a\n")
    (batch,) = _batches(AttributeRequestDataModule(from_list=str(path)))
    assert batch["name"] == ["a_seed0", "a_3_seed0", "a_2_seed0", "a_4_seed0"]
    path.write_text("attributes\nSmiling\nBald; Bangs\n")
    with pytest.raises(ConfigurationError, match=r'wanted\.csv, line 3: "Bald" and "Bangs" exclude'):
        AttributeRequestDataModule(from_list=str(path))
    path.write_text("attributes,file\nSmiling,gone.png\n")
    with pytest.raises(LabelError, match="line 2: there is no picture"):
        AttributeRequestDataModule(from_list=str(path))


def test_from_a_list_of_faces(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40), (200, 100, 50)).save(tmp_path / name)
    path = tmp_path / "faces.csv"
    path.write_text("file,Smiling,Bald,left,top,right,bottom\na.png,1,0,1,1,20,20\nb.png,,,2,2,30,30\n")
    (batch,) = _batches(AttributeRequestDataModule(from_list=str(path), image_size=8))
    assert batch["labelled"].tolist() == [True, False]
    assert _said(batch["attributes"][0]) == {"Smiling": 1, "Bald": 0}
    assert batch["image"].shape == (2, 3, 8, 8)
    assert [Path(source).name for source in batch["source"]] == ["a.png", "b.png"]


def test_drawn_from_the_demo() -> None:
    data = AttributeRequestDataModule(requests=10, image_size=32, demo=DEMO, batch_size=4, request_split="test")
    batches = _batches(data)
    assert [len(batch["name"]) for batch in batches] == [4, 4, 2]
    assert len({name for batch in batches for name in batch["source"]}) == 10
    again = AttributeRequestDataModule(requests=10, image_size=32, demo=DEMO, batch_size=10)
    (whole,) = _batches(again)
    assert torch.equal(torch.cat([batch["image"] for batch in batches]), whole["image"])
    assert torch.equal(torch.cat([batch["attributes"] for batch in batches]), whole["attributes"])
    assert (whole["attributes"] == 0).any()
    few = AttributeRequestDataModule(requests=40, image_size=32, demo=DEMO, ask_for=5)
    assert ((few.attributes == 1).sum(dim=1) == 5).all()
    assert len(few.attributes) == 40  # more than the split has faces


def test_lists_in_which_absent_is_minus_one(tmp_path: Path) -> None:
    schema = AttributeSchema.from_plain(
        {
            "attributes": ["Smiling", "Bald"],
            "heads": [{"name": name, "kind": "binary", "attributes": [name]} for name in ("Smiling", "Bald")],
        }
    ).plain()
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "b.png")
    path = tmp_path / "faces.csv"
    path.write_text("file,Smiling,Bald\na.png,1,-1\nb.png,-1,-1\n")
    for kind in ("auto", "celeba"):
        data = AttributeRequestDataModule(from_list=str(path), attribute_schema=schema, label_format=kind, image_size=8)
        assert data.attributes.tolist() == [[1, 0], [0, 0]]
    text = tmp_path / "list_attr_celeba.txt"
    text.write_text("2\nSmiling Bald\na.png  1 -1\nb.png -1 -1\n")
    own = AttributeRequestDataModule(from_list=str(text), attribute_schema=schema, image_size=8)  # told by its form
    assert own.attributes.tolist() == [[1, 0], [0, 0]]


def test_faces_that_are_done_are_left_out() -> None:
    data = AttributeRequestDataModule("Smiling", count=5, seed=3, batch_size=2)
    assert data.names == [f"smiling_seed{seed}" for seed in range(3, 8)]
    data.exclude(["smiling_seed3", "smiling_seed6", "another"])
    batches = _batches(data)
    assert [batch["index"].tolist() for batch in batches] == [[1, 2], [4]]
    assert torch.cat([batch["seed"] for batch in batches]).tolist() == [4, 5, 7]
    assert data.request(3)["name"] == ["smiling_seed6"]
    assert data.request(3)["index"].tolist() == [3]
    data.exclude(data.names)
    assert _batches(data) == []
    data.exclude([])  # of a folder that holds none
    assert len(_batches(data)) == 3


def test_a_source_that_breaks_after_the_request_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(path)
    data = AttributeRequestDataModule("Smiling", from_image=str(path), image_size=16)
    data.setup("predict")
    path.write_bytes(b"torn")
    (batch,) = _batches(data)
    assert batch["valid"].tolist() == [False]
    assert "a.png cannot be read" in batch["error"][0]
    with pytest.raises(ImageError, match=r"a\.png cannot be read"):
        AttributeRequestDataModule("Smiling", from_image=str(path), image_size=16)
