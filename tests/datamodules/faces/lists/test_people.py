"""Whom a training learnt from, as a checkpoint keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.lists import people
from datamodules.faces.lists.people import joined, overlap, sketch_of
from datamodules.faces.renderer.settings import FaceDemoSettings

DEMO = FaceDemoSettings(seed=5, train=24, val=8, test=8)


def test_people_are_found_again_and_no_others() -> None:
    names = [f"person {number}" for number in range(500)]
    sketch = sketch_of(names * 2)
    assert sketch.dtype == torch.int64
    assert len(sketch) == 500
    assert overlap(sketch, [*names[:70], "stranger"]) == (70, 71)
    assert overlap(sketch, [f"other {number}" for number in range(500)]) == (0, 500)
    assert torch.equal(joined(sketch_of(names[:200]), sketch_of(names[100:])), sketch)


def test_of_too_many_people_some_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "KEPT", 100)
    names = [f"person {number}" for number in range(1000)]
    sketch = sketch_of(names)
    assert len(sketch) == 100
    assert overlap(sketch, names) == (100, 100)  # all that it can tell
    shared, told = overlap(sketch, [*names[:500], *(f"other {number}" for number in range(500))])
    assert 0.3 < shared / told < 0.7
    assert torch.equal(joined(sketch_of(names[:600]), sketch_of(names[300:])), sketch)
    shared, told = overlap(sketch, sketch_of([*names[:500], *(f"other {number}" for number in range(500))]))
    assert 0.3 < shared / told < 0.7


def test_a_training_keeps_its_people_and_a_test_none() -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO)
    data.setup("fit")
    state = data.state_dict()
    assert overlap(state["people"], data.people("train")) == (6, 6)  # four pictures each
    assert overlap(state["people"], data.people("test")) == (0, 2)
    assert torch.equal(data.state_dict()["people"], state["people"])
    judge = FaceAttributeDataModule(image_size=32, demo=DEMO, fit_on="judge")
    assert overlap(state["people"], judge.people("train")) == (0, 6)
    tested = FaceAttributeDataModule(image_size=32, demo=DEMO)
    tested.setup("test")
    assert tested.state_dict() == {}
    counted = FaceAttributeDataModule(image_size=32, demo=DEMO, validate_on="train")
    counted.setup("validate")
    assert torch.equal(counted.state_dict()["people"], state["people"])


def test_a_resumed_training_keeps_the_people_of_both_parts() -> None:
    first, second = (
        FaceAttributeDataModule(image_size=32, demo=FaceDemoSettings(seed=seed, train=8)) for seed in (1, 2)
    )
    first.setup("fit")
    second.setup("fit")
    second.load_state_dict(first.state_dict())
    everybody = [*first.people("train"), *second.people("train")]
    assert overlap(second.state_dict()["people"], everybody) == (4, 4)


def test_of_nobody_known_the_picture_counts(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{name}.png")
    (tmp_path / "faces.csv").write_text(
        "file,identity,split,Smiling\na.png,Ann,train,1\nb.png,,train,0\nc.png,Eve,test,0\n"
    )
    data = FaceAttributeDataModule(labels=str(tmp_path / "faces.csv"), image_size=16)
    found = [person for split in ("train", "val", "test") for person in data.people(split)]
    assert sorted(found) == ["Ann", "Eve", "b.png"]
