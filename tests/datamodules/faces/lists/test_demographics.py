"""Lists that tell gender, age and group: FairFace's, UTKFace's names, the JSON of FFHQ's features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.faces.lists.demographics import AGES, age_of
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import ABSENT, MISSING, PRESENT
from datamodules.faces.sources import FaceSources

HEADER = "file,age,gender,race,service_test"


def drawn(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (20 * number, 0, 0)).save(folder / name)
    return folder


def sources(**options: Any) -> FaceSources:
    return FaceSources(FaceListSettings(image_size=8, **options), FaceDemoSettings())


def shown(found: FaceSources) -> dict[str, dict[str, list[str]]]:
    """What each picture shows by split, as its list says it."""
    names = np.array(found.schema.attributes)
    return {
        split: {
            name: names[labels == PRESENT].tolist() for name, labels in zip(faces.names, faces.attributes, strict=True)
        }
        for split, faces in found.lists().items()
        if len(faces)
    }


def fairface(folder: Path, train: list[str], val: list[str]) -> Path:
    for name, rows in (("train", train), ("val", val)):
        drawn(folder, *(row.partition(",")[0] for row in rows))
        (folder / f"fairface_label_{name}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


@pytest.mark.parametrize("by_root", [True, False])
def test_fairface_tells_gender_race_and_age_of_its_two_splits(tmp_path: Path, by_root: bool) -> None:
    train = ["train/1.jpg,more than 70,Male,East Asian,True", "train/2.jpg,0-2,Female,Latino_Hispanic,False"]
    folder = fairface(tmp_path, train, ["val/1.jpg,30-39,Female,Black,False"])
    found = sources(root=str(folder)) if by_root else sources(labels=str(folder / "fairface_label_train.csv"))
    assert found.kind == "fairface"
    assert shown(found) == {
        "train": {
            "train/1.jpg": ["Male", "East Asian", "Age 70 and more"],
            "train/2.jpg": ["Latino Hispanic", "Age 0-2"],
        },
        "val": {"val/1.jpg": ["Black", "Age 30-39"]},
    }
    labels = found.lists()["train"].attributes
    assert (labels == PRESENT).sum() + (labels == ABSENT).sum() == labels.size == 2 * 17
    assert found.faces("val").table().files == ["val/1.jpg"]


def test_a_list_of_fairface_alone_is_split_and_empty_fields_are_missing(tmp_path: Path) -> None:
    fairface(tmp_path, ["train/1.jpg,,Male,,"], [f"val/{n}.jpg,20-29,,White," for n in range(20)])
    found = sources(labels=str(tmp_path / "fairface_label_val.csv"))
    assert {split: len(faces) for split, faces in found.lists().items()}.keys() == {"train", "val", "test"}
    assert sum(len(faces) for faces in found.lists().values()) == 20
    assert (found.lists()["train"].attributes[:, found.schema.index("Male")] == MISSING).all()
    only = sources(root=str(tmp_path)).lists()["train"]
    assert (only.attributes[0] != MISSING).sum() == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["train/1.jpg,25,Male,White,"], "line 2: age is '25'; write one of 0-2, 3-9, "),
        (["train/1.jpg,0-2,man,White,"], "gender is 'man'; write one of male, female"),
        (["train/1.jpg,0-2,Male,Martian,"], "race is 'Martian'; write one of white, black, latino hispanic"),
        (["train/1.jpg,0-2,Male,White,", "train/1.jpg,3-9,Male,White,"], "line 3"),
    ],
)
def test_a_malformed_list_of_fairface_is_named_by_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    fairface(tmp_path, rows, ["val/1.jpg,30-39,Female,Black,False"])
    with pytest.raises(LabelError, match=message):
        sources(root=str(tmp_path)).lists()


def test_pictures_of_fairface_that_are_gone_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fairface(tmp_path, [f"train/{n}.jpg,20-29,Male,White," for n in range(3)], ["val/1.jpg,20-29,Male,White,"])
    (tmp_path / "train/1.jpg").unlink()
    assert len(sources(root=str(tmp_path)).lists()["train"]) == 2
    assert "1 of 4 pictures" in caplog.text
    with pytest.raises(ConfigurationError, match=r"looked for train/0\.jpg"):
        sources(labels=str(tmp_path / "fairface_label_train.csv"), root=str(tmp_path / "val")).lists()


def test_the_names_of_utkface_tell_age_gender_and_race(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["26_1_0_20170116174525125.jpg.chip.jpg", "116_0_4_20170109142408075.jpg", "9_0_3_20170109142408076.png"]
    drawn(tmp_path, *names, "61_1_20170109142408075.jpg", "holiday.jpg")
    found = sources(root=str(tmp_path), label_format="utkface", split=(1.0, 0.0, 0.0))
    assert shown(found)["train"] == {
        names[0]: ["White", "Age 20-29"],
        names[1]: ["Male", "Others", "Age 70 and more"],
        names[2]: ["Male", "Indian", "Age 3-9"],
    }
    assert "2 of 5 pictures" in caplog.text
    assert "61_1_20170109142408075.jpg, holiday.jpg" in caplog.text
    with pytest.raises(ConfigurationError, match="named age_gender_race_date"):
        sources(root=str(drawn(tmp_path / "other", "a.jpg")), label_format="utkface").lists()
    with pytest.raises(ConfigurationError, match="label_format utkface reads the names of pictures: give root"):
        sources(labels=str(tmp_path / names[0]), label_format="utkface")


FACE: dict[str, Any] = {
    "gender": "female",
    "age": 27.0,
    "smile": 0.9,
    "glasses": "ReadingGlasses",
    "facialHair": {"moustache": 0.1, "beard": 0.6, "sideburns": 0.0},
    "makeup": {"eyeMakeup": True, "lipMakeup": False},
    "accessories": [{"type": "headWear", "confidence": 0.9}, {"type": "glasses", "confidence": 0.99}],
    "hair": {
        "bald": 0.04,
        "hairColor": [{"color": "brown", "confidence": 0.8}, {"color": "blond", "confidence": 0.97}],
    },
}
OF_FACE = ["Age 20-29", "Eyeglasses", "Smiling", "Beard", "Eye Makeup", "Wearing Hat", "Blond Hair"]


@pytest.mark.parametrize("one_file", [True, False])
def test_the_features_of_ffhq_are_read_from_a_json_a_picture_or_one_of_all(tmp_path: Path, one_file: bool) -> None:
    drawn(tmp_path, "images/00000/00000.png", "images/00000/00001.png", "images/01000/01000.png")
    told = {
        "00000": [{"faceId": "x", "faceAttributes": FACE}, {"faceId": "y", "faceAttributes": {"gender": "male"}}],
        "00001": [],
        "01000": [{"faceAttributes": {"gender": "male", "glasses": "SwimmingGoggles", "hair": {"hairColor": []}}}],
    }
    options: dict[str, Any] = {"root": str(tmp_path), "split": (1.0, 0.0, 0.0)}
    if one_file:
        (tmp_path / "features.json").write_text(json.dumps({f"{name}.png": face for name, face in told.items()}))
        options |= {"labels": str(tmp_path / "features.json")}
    else:
        (tmp_path / "json").mkdir()
        for name, face in told.items():
            (tmp_path / "json" / f"{name}.json").write_text(json.dumps(face))
        options |= {"label_format": "ffhq"}
    found = sources(**options)
    assert found.kind == "ffhq"
    assert shown(found)["train"] == {
        "images/00000/00000.png": OF_FACE,
        "images/00000/00001.png": [],
        "images/01000/01000.png": ["Male"],
    }
    labels = found.lists()["train"].attributes
    assert (labels[1] == MISSING).all()
    assert (labels[2] != MISSING).sum() == 1  # goggles are neither, and no colour is no answer
    assert labels[0, found.schema.index("Bald")] == ABSENT


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ({"a": 1}, "has no faceAttributes"),
        ([{"faceAttributes": {"age": "old"}}], "faceAttributes are not understood .*'old' is no number"),
        ([{"faceAttributes": {"gender": "both"}}], "are not understood .*both"),
        ([{"faceAttributes": {"accessories": {"type": "x"}}}], "is no list"),
        ([{"faceAttributes": {"age": -1}}], "are not understood"),
    ],
)
def test_features_that_are_not_understood_are_named_by_their_file(tmp_path: Path, face: object, message: str) -> None:
    drawn(tmp_path, "00000.png")
    (tmp_path / "00000.json").write_text(json.dumps(face))
    with pytest.raises(LabelError, match=rf"00000\.json.*{message}"):
        sources(root=str(tmp_path), label_format="ffhq").lists()


def test_a_schema_that_knows_nothing_of_the_list_is_refused_and_one_that_knows_a_part_taken(tmp_path: Path) -> None:
    drawn(tmp_path, "26_1_0_1.jpg", "30_0_1_2.jpg")
    hat = {"heads": [{"name": "hat", "kind": "binary", "attributes": ["Hat"]}]}
    with pytest.raises(LabelError, match="the schema has none of these: leave attribute_schema out"):
        sources(root=str(tmp_path), label_format="utkface", attribute_schema=hat).lists()
    part = sources(root=str(tmp_path), label_format="utkface", attribute_schema="pubfig", split=(1.0, 0.0, 0.0))
    assert shown(part)["train"] == {"26_1_0_1.jpg": ["White"], "30_0_1_2.jpg": ["Male", "Black"]}


def test_every_age_is_in_one_bin() -> None:
    found = [next(name for name, own in age_of(years).items() if own) for years in range(120)]
    assert list(dict.fromkeys(found)) == list(AGES)
    assert [found[years] for years in (2, 3, 9, 10, 69, 70)] == [
        "Age 0-2", "Age 3-9", "Age 3-9", "Age 10-19", "Age 60-69", "Age 70 and more",
    ]  # fmt: skip
