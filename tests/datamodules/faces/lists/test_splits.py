"""Splits of faces by person."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.common.errors import LabelError
from datamodules.faces.lists.records import FaceList, SplitName, unlabelled
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.lists.splits import split_faces


def _faces(people: list[str], splits: list[SplitName | None] | None = None) -> FaceList:
    names = [f"{row}.png" for row in range(len(people))]
    bare = unlabelled([f"/{name}" for name in names], names, 2)
    return FaceList(bare.paths, bare.names, people, bare.attributes, bare.boxes, None, splits or (), ())


def _people(faces: FaceList) -> set[str]:
    return set(faces.identities)


MANY = [f"person {row % 40}" for row in range(200)]


def test_nobody_is_in_two_splits() -> None:
    splits = split_faces(_faces(MANY), FaceListSettings())
    sizes = {split: len(_people(faces)) for split, faces in splits.items()}
    assert sizes == {"train": 28, "val": 6, "test": 6}
    assert sum(len(faces) for faces in splits.values()) == 200
    assert not _people(splits["train"]) & (_people(splits["val"]) | _people(splits["test"]))
    assert not _people(splits["val"]) & _people(splits["test"])


def test_the_split_depends_on_the_seed_and_the_names_alone() -> None:
    first = split_faces(_faces(MANY), FaceListSettings())
    turned = split_faces(_faces(MANY[::-1]), FaceListSettings())
    assert {split: _people(faces) for split, faces in first.items()} == {
        split: _people(faces) for split, faces in turned.items()
    }
    other = split_faces(_faces(MANY), FaceListSettings(split_seed=1))
    assert _people(other["test"]) != _people(first["test"])


def test_pictures_of_nobody_known_are_split_each() -> None:
    splits = split_faces(_faces([""] * 100), FaceListSettings())
    assert [len(splits[split]) for split in ("train", "val", "test")] == [70, 15, 15]


def test_persons_may_be_parted_on_purpose() -> None:
    splits = split_faces(_faces(["same"] * 20), FaceListSettings(identity_disjoint=False))
    assert [len(splits[split]) for split in ("train", "val", "test")] == [14, 3, 3]
    whole = split_faces(_faces(["same"] * 20), FaceListSettings())
    assert [len(whole[split]) for split in ("train", "val", "test")] == [20, 0, 0]


def test_a_list_is_taken_at_its_word() -> None:
    faces = _faces(["a", "b", "c", "c"], ["test", "val", "train", "train"])
    splits = split_faces(faces, FaceListSettings())
    assert [_people(splits[split]) for split in ("train", "val", "test")] == [{"c"}, {"b"}, {"a"}]
    half = split_faces(_faces(["a", "b", "c", "d"], ["test", "train", "train", "train"]), FaceListSettings())
    assert [len(half[split]) for split in ("train", "val", "test")] == [2, 1, 1]


def test_a_list_that_parts_a_person() -> None:
    faces = _faces(["a", "b", "a"], ["test", "train", "train"])
    with pytest.raises(LabelError, match=r"2\.png: a is in train, but in test at 0\.png"):
        split_faces(faces, FaceListSettings())
    splits = split_faces(faces, FaceListSettings(identity_disjoint=False, split=(1.0, 0.0, 0.0)))
    assert [len(splits[split]) for split in ("train", "test")] == [2, 1]
    with pytest.raises(LabelError, match=r"1\.png: no split, but other rows name one"):
        split_faces(_faces(["a", "b"], ["test", None]), FaceListSettings())


def test_judges_learn_from_other_people() -> None:
    kept = split_faces(_faces(MANY), FaceListSettings(judge_share=0.5))
    judged = split_faces(_faces(MANY), FaceListSettings(judge_share=0.5, fit_on="judge"))
    assert not _people(kept["train"]) & _people(judged["train"])
    assert len(_people(kept["train"]) | _people(judged["train"])) == 28
    assert len(_people(judged["train"])) == 14
    for split in ("val", "test"):
        np.testing.assert_array_equal(kept[split].names, judged[split].names)
