"""`appraise doctor` with data: what every kind of data module holds, all that is wrong at once, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.running import Command

Made = Callable[[Path], list[str]]


def parts(folder: Path) -> list[str]:
    """Parts of two production lines, of which one class is not shown, with a box outside and an absent image."""
    for name in "abcd":
        Image.new("RGB", (30, 20)).save(folder / f"{name}.png")
    rows = "a.png,original,train\nb.png,new,train\nc.png,new,val\nd.png,original,test\ne.png,original,test\n"
    (folder / "list.csv").write_text(f"image,domain,split\n{rows}")
    (folder / "boxes.csv").write_text("image,x1,y1,x2,y2,class\na.png,1,1,5,5,dent\nc.png,1,1,99,5,dent\n")
    (folder / "classes.txt").write_text("dent\nscratch\n")
    return ["--data", "InspectionDataModule", "--data.label_format", "manifest", "--data.labels", "list.csv"]


def videos(folder: Path) -> list[str]:
    """Videos that all have one score."""
    for number in range(4):
        (folder / f"{number}.mp4").touch()
    rows = "".join(f"{number}.mp4,3,{split}\n" for number, split in enumerate(("train", "train", "val", "test")))
    (folder / "list.csv").write_text(f"file,mos,split\n{rows}")
    return ["--data", "VideoQualityDataModule", "--data.label_format", "manifest", "--data.labels", "list.csv"]


def actions(folder: Path) -> list[str]:
    """Videos of two classes, one of them for the test alone."""
    rows = "a.mp4,drinking,train\nb.mp4,drinking,val\nc.mp4,cooking,test\n"
    for name in "abc":
        (folder / f"{name}.mp4").touch()
    (folder / "list.csv").write_text(f"video,class,split\n{rows}")
    return ["--data", "ActionDataModule", "--data.labels", "list.csv"]


def faces(folder: Path) -> list[str]:
    """Faces of which none is bald, and all smile."""
    for number in range(6):
        Image.new("RGB", (16, 16)).save(folder / f"{number}.png")
    splits = ("train", "train", "train", "val", "val", "test")
    rows = "".join(f"{number}.png,-1,1,{split}\n" for number, split in enumerate(splits))
    (folder / "list.csv").write_text(f"file,Bald,Smiling,split\n{rows}")
    return ["--data", "FaceAttributeDataModule", "--data.labels", "list.csv", "--data.image_size", "16"]


SAID: dict[str, tuple[Made, list[str]]] = {
    "inspection": (
        parts,
        [
            "train original: 1 image; 0 healthy; dent 1, scratch 0",
            "val new: 1 image; 0 healthy; dent 1, scratch 0",
            "fault   labels       list.csv, line 6: there is no image",
            "boxes.csv, line 3: box 1,1,99,5 lies outside",
            "fault   classes      no example of scratch is in the train split -> give labelled images",
            "1 training image of the new domain not trained on",
        ],
    ),
    "video quality": (videos, ["train: 2 videos; scores 3 to 3, mean 3", "all 2 training videos have the score 3"]),
    "action": (actions, ["train: 1 video; cooking 0, drinking 1", "no example of cooking is in the train split"]),
    "faces": (
        faces,
        [
            "train: 3 faces; ",
            "all labelled training faces have the same",
            "fault   attributes   no labelled face of the train split shows Bald",
            "exclude_attributes [Bald]",
        ],
    ),
}


@pytest.mark.parametrize("kind", SAID)
def test_all_that_is_wrong_is_said_at_once(
    kind: str, tmp_path: Path, appraise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = SAID[kind]
    monkeypatch.chdir(tmp_path)
    done = appraise("doctor", *make(tmp_path), "--report", "found.json")
    assert done.code == 1, done.out + done.err
    for text in said:
        assert text in done.out
    found = json.loads(Path("found.json").read_text())
    assert found["faults"] == sum(one["status"] == "fault" for one in found["findings"]) > 0
    assert found["data"]["splits"][0]["split"].startswith("train")


def test_a_file_gives_the_data_and_what_is_good_exits_with_0(
    tmp_path: Path, appraise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    videos(tmp_path)
    (tmp_path / "list.csv").write_text((tmp_path / "list.csv").read_text().replace("1.mp4,3", "1.mp4,4"))
    arguments = "{label_format: manifest, labels: list.csv}"
    (tmp_path / "own.yaml").write_text(
        f"data:\n  class_path: datamodules.VideoQualityDataModule\n  init_args: {arguments}\nseed_everything: 3\n"
    )
    done = appraise("doctor", "--config", "own.yaml")
    assert (done.code, done.out.splitlines()[-1]) == (0, "all well")
    done = appraise("doctor", "--config", "own.yaml", "--data.labels", "gone.csv")
    assert done.code == 1
    assert "gone.csv: there is no such list" in done.out
    assert appraise("doctor", "--data", "VideoQualityDataModule", "--data.lables", "x").code == 2
    assert appraise("doctor", "--trainer.max_epochs", "3").code == 2


def test_without_a_new_line_none_is_spoken_of(
    tmp_path: Path, appraise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = parts(tmp_path)
    (tmp_path / "list.csv").write_text("image,split\na.png,train\nb.png,val\nd.png,test\n")
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,class\na.png,1,1,5,5,dent\n")
    done = appraise("doctor", *arguments)
    assert "test: 1 image" in done.out, done.out + done.err
    assert "new domain" not in done.out


def test_a_list_in_another_encoding_is_a_sentence(tmp_path: Path, appraise: Command) -> None:
    (tmp_path / "classes.txt").write_bytes("Riß\n".encode("cp1252"))
    place = ["--data", "InspectionDataModule", "--data.label_format", "folder", "--data.root", str(tmp_path)]
    done = appraise("doctor", *place)
    assert done.code == 1
    assert "classes.txt, line 1: byte 0xdf is no UTF-8; read as Windows-1252 (cp1252) the line is 'Riß'" in done.out
