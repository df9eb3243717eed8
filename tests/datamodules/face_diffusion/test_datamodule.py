"""Pictures for diffusion: classes, weights, subsets, keys of noise, and samples to make."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.sampler import SampleIndex
from datamodules.face_diffusion.datamodule import FaceDiffusionDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings

SUNGLASSES = {"eyewear": {"sunglasses": 0.7, "eyeglasses": 0.0}}


def drawn(train: int = 60, **options: Any) -> FaceDiffusionDataModule:
    demo = FaceDemoSettings(train=train, val=4, test=4, photos_per_person=1, shares=SUNGLASSES)
    return FaceDiffusionDataModule(demo=demo, classes=["sunglasses"], **options)


def test_the_demo_has_the_shares_that_were_asked_for_and_small_pictures() -> None:
    data = drawn(400)
    dataset = data.pictures("train")
    batch = dataset.batch(list(range(400)))
    assert batch["image"].shape == (400, 3, 16, 16)
    assert batch["label"].ne(-1).all()
    assert batch["label"].eq(0).float().mean().item() == pytest.approx(0.7, abs=0.07)
    summary = data.data_summary()
    assert summary.splits[0].classes == {
        "sunglasses": int(batch["label"].eq(0).sum()),
        "no sunglasses": int(batch["label"].sum()),
    }
    dark = batch["image"][:, :, 5:9, 3:13].float().mean(dim=(1, 2, 3))
    assert dark[batch["label"] == 0].mean() < dark[batch["label"] == 1].mean()


def test_weights_make_the_shares_of_the_target() -> None:
    data = drawn(target=[0.5, 0.5])
    batch = data.pictures("train").batch(list(range(60)))
    weights = batch["weight"]
    assert weights.mean().item() == pytest.approx(1)
    assert weights[batch["label"] == 0].sum().item() == pytest.approx(30, rel=1e-5)
    assert data.pictures("val").batch([0])["weight"].tolist() == [1.0]


def test_a_subset_is_nested_and_too_large_a_one_is_refused() -> None:
    small, large = (drawn(subset=number).pictures("train").pictures for number in (10, 30))
    held = {picture.numpy().tobytes() for batch in large for picture in batch}
    assert len(small) == 10
    assert all(picture.numpy().tobytes() in held for batch in small for picture in batch)
    with pytest.raises(ConfigurationError, match="subset is 99, but the training has 60 pictures"):
        drawn(subset=99).pictures("train")


def test_what_a_subset_leaves_can_be_learnt_from_while_copies_of_the_subset_are_looked_for() -> None:
    every, chosen, rest = drawn(), drawn(subset=20), drawn(subset=20, learn_from="rest")
    assert sorted([*chosen._rows("train").tolist(), *rest._rows("train").tolist()]) == list(range(60))
    assert rest.training_pictures().fingerprint == chosen.training_pictures().fingerprint
    assert rest.training_pictures().fingerprint == chosen.pictures("train").pictures.fingerprint
    assert len(rest.pictures("train")) == 40
    assert every.training_pictures().fingerprint == every.pictures("train").pictures.fingerprint
    with pytest.raises(ConfigurationError, match="without a subset nothing is left"):
        drawn(learn_from="rest")
    with pytest.raises(ConfigurationError, match="subset takes all 60 training pictures"):
        drawn(subset=60, learn_from="rest").pictures("train")


def test_the_subsets_of_a_seed_hold_one_another_and_those_of_another_are_others() -> None:
    def rows(number: int, seed: int = 0) -> set[int]:
        return set(drawn(10_001, subset=number, subset_seed=seed)._rows("train").tolist())

    sizes = (300, 700, 1000, 5000, 10_000)
    nested = [rows(number) for number in sizes]
    assert [len(one) for one in nested] == list(sizes)
    assert all(small < large for small, large in pairwise(nested))
    assert rows(300) == nested[0] != rows(300, 1)
    assert len(rows(300) & rows(300, 1)) < 50


def test_noise_follows_from_epoch_and_row_in_training_and_from_the_row_elsewhere() -> None:
    data = drawn(flip=True)

    def keys(split: Any, epoch: int, row: int = 3) -> int:
        return int(data.pictures(split).batch([SampleIndex(row, epoch=epoch)])["noise_key"])

    assert keys("train", 0) != keys("train", 1)
    assert keys("train", 0, 2) != keys("train", 0)
    assert keys("val", 0) == keys("val", 5) != keys("train", 0)
    dataset = data.pictures("train")
    turned = [dataset.batch([SampleIndex(3, epoch=epoch)])["image"][0] for epoch in range(12)]
    plain = drawn().pictures("train").batch([3])["image"][0]
    assert {torch.equal(one, plain) for one in turned} == {True, False}
    assert all(torch.equal(one, plain) or torch.equal(one.flip(2), plain) for one in turned)


def test_samples_are_numbered_and_those_that_are_done_are_left_out() -> None:
    data = drawn(samples=5, conditional=True, batch_size=2)
    assert data.class_names == ["sunglasses", "no sunglasses"]
    every = list(data.predict_dataloader())
    assert torch.cat([batch["label"] for batch in every]).tolist() == [0, 1, 0, 1, 0]
    data.exclude([0, 2])
    left = list(data.predict_dataloader())
    assert torch.cat([batch["index"] for batch in left]).tolist() == [1, 3, 4]
    whole = torch.cat([batch["noise_key"] for batch in every])
    assert torch.equal(torch.cat([batch["noise_key"] for batch in left]), whole[[1, 3, 4]])
    with pytest.raises(ConfigurationError, match="sample_class is 7"):
        drawn(conditional=True, sample_class=7).sample_labels()


def test_a_folder_of_pictures_without_labels_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    for number in range(8):
        Image.fromarray(np.full((20, 24, 3), 30 * number, np.uint8)).save(tmp_path / f"{number}.png")
    data = FaceDiffusionDataModule(root=str(tmp_path), label_format="images", image_size=8, split=(0.5, 0.25, 0.25))
    data.setup("fit")
    assert len(data.training_pictures()) == 4
    assert data.training_pictures().fingerprint == data.training_pictures().fingerprint
    (tmp_path / "7.png").write_bytes(b"no picture")
    (tmp_path / "6.png").write_bytes(b"no picture")
    (tmp_path / "5.png").write_bytes(b"no picture")
    broken = FaceDiffusionDataModule(root=str(tmp_path), label_format="images", image_size=8, split=(0.5, 0.25, 0.25))
    with pytest.raises(LabelError):
        broken.setup("fit")
    skipping = FaceDiffusionDataModule(
        root=str(tmp_path), label_format="images", image_size=8, split=(0.5, 0.25, 0.25), on_error="skip"
    )
    skipping.setup("fit")
    whole = [file for file in skipping.picture_files("train") if int(Path(file).stem) < 5]
    assert 0 < len(whole) < 4
    seen = torch.cat(list(skipping.training_pictures()))
    assert seen[:, 0, 0, 0].tolist() == [30 * int(Path(file).stem) for file in whole]  # no black one among them


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditional": True}, "need to know what tells pictures apart"),
        ({"classes_only": True}, "need to know what tells pictures apart"),
        ({"classes": ["a"], "target": [0.5]}, "give 2 shares that add up to 1"),
        ({"image_size": 512}, "it must be 8..256"),
        ({"demo": FaceDemoSettings(shares={"hat": 0.5})}, "give a mapping of none, high, low"),
        ({"demo": FaceDemoSettings(shares={"hut": 0.5})}, "names 'hut'; the drawing knows"),
        ({"demo": FaceDemoSettings(shares={"pale": 1.5})}, "shares lie in 0..1"),
        ({"demo": FaceDemoSettings(shares={"eyewear": {"monocle": 1}})}, "its values are none, sunglasses, eyeglasses"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FaceDiffusionDataModule(**options).pictures("val")


def test_a_picture_without_a_class_is_refused_where_the_model_is_told_it(tmp_path: Path) -> None:
    for number in range(4):
        Image.fromarray(np.full((20, 24, 3), 30 * number, np.uint8)).save(tmp_path / f"{number}.png")
    given: dict[str, Any] = {"root": str(tmp_path), "label_format": "images", "image_size": 8, "classes": ["Male"]}
    with pytest.raises(
        LabelError, match="of 3 of 3 pictures of train it is not known which of Male, no Male they show"
    ):
        FaceDiffusionDataModule(**given, conditional=True, split=(0.8, 0.2, 0)).setup("fit")
    FaceDiffusionDataModule(**given, split=(0.8, 0.2, 0)).setup("fit")


def test_two_groups_of_a_list_are_kept_and_the_others_left_out(tmp_path: Path) -> None:
    races = ["Black", "White", "Indian", "Black", "White", "Black", "East Asian", "Latino_Hispanic"]
    rows = [f"train/{n}.jpg,20-29,Male,{race},False" for n, race in enumerate(races)]
    (tmp_path / "fairface_label_train.csv").write_text("\n".join(["file,age,gender,race,service_test", *rows]) + "\n")
    (tmp_path / "fairface_label_val.csv").write_text(
        "file,age,gender,race,service_test\ntrain/9.jpg,3-9,Female,White,True\n"
    )
    (tmp_path / "train").mkdir()
    for number in (*range(8), 9):
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(tmp_path / "train" / f"{number}.jpg")
    given: dict[str, Any] = {"root": str(tmp_path), "image_size": 8, "classes": ["Black", "White"]}
    data = FaceDiffusionDataModule(**given, classes_only=True, conditional=True)
    data.setup("fit")
    assert len(data.training_pictures()) == 5
    assert data.pictures("train").batch(list(range(5)))["label"].tolist() == [0, 1, 0, 1, 0]
    assert data.data_summary().splits[0].classes == {"Black": 3, "White": 2}
    assert FaceDiffusionDataModule(**given, classes_only=True, subset=4)._rows("train").shape == (4,)
    with pytest.raises(ConfigurationError, match="subset is 6, but the training has 5 pictures"):
        FaceDiffusionDataModule(**given, classes_only=True, subset=6).setup("fit")
    with pytest.raises(ConfigurationError, match="not one picture of train shows Middle Eastern or Southeast Asian"):
        FaceDiffusionDataModule(**{**given, "classes": ["Middle Eastern", "Southeast Asian"]}, classes_only=True).setup(
            "fit"
        )


def test_an_unknown_class_and_a_class_without_a_picture_are_named() -> None:
    with pytest.raises(LabelError, match="classes names monocle"):
        FaceDiffusionDataModule(classes=["monocle"], demo=FaceDemoSettings(train=4)).pictures("train")
    none = FaceDemoSettings(train=6, shares={"eyewear": {"sunglasses": 0.0}})
    found = FaceDiffusionDataModule(classes=["sunglasses"], demo=none).data_summary().findings
    assert ("warning", "no example of sunglasses is in the train split") in [(one.status, one.text) for one in found]
    with pytest.raises(LabelError, match=r"training pictures of the classes are \[0, 6\]"):
        FaceDiffusionDataModule(classes=["sunglasses"], target=[0.5, 0.5], demo=none).pictures("train")
