"""Every shipped configuration of faces parses and runs: fit, test, predict, validate, generate and evaluate-faces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import cli
from tests.configs.shipped import command_words, configs_of, name_of, tried
from tests.tables import csv_rows

TRAINING = [path for path in configs_of("face_attributes") if command_words(path)[0] == "fit"]
ON_LISTS = {"imagenet": "list_attr_celeba.txt", "pubfig": "pubfig_attributes.txt", "paper": "pubfig_attributes.txt"}


def small_options(path: Path, tree: Path, small_faces: list[str], classifier: Path) -> list[str]:
    """The smallest network and data, keeping a configuration's own switches."""
    options = [*small_faces, "--model.init_args.pretrained=false", "--trainer.accelerator=cpu"]
    options += ["--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1"]
    if path.stem != "finetune" and path.stem not in ON_LISTS:
        return options
    options = [option for option in options if ".demo." not in option]
    if path.stem == "finetune":
        return [*options, f"--data.init_args.labels={tree / 'faces.csv'}", f"--model.init_args.weights={classifier}"]
    network = ["backbone=test_resnet"] if path.stem == "imagenet" else ["backbone=small_vgg", "freeze_below=conv4"]
    lists = [f"root={tree}", f"labels={tree / ON_LISTS[path.stem]}"]
    options += [f"--model.init_args.{option}" for option in network]  # the small VGG has no conv5
    return [*options, *(f"--data.init_args.{option}" for option in lists)]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_fit_test_and_predict(
    path: Path, fast: bool, face_tree: Path, small_faces: list[str], face_classifier: Path, tmp_path: Path
) -> None:
    options = small_options(path, face_tree, small_faces, face_classifier)
    checkpoint = tried(tmp_path, fast, "--config", str(path), *options)
    if checkpoint is None:
        return
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["hyper_parameters"]
    assert saved["image_size"] == 32
    assert len(saved["attribute_schema"]["attributes"]) == (40 if path.stem == "imagenet" else 73)
    words = ["predict", "--config", "face_attributes/predict", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
    words += [f"--data.init_args.path={face_tree / 'images'}", f"--output={tmp_path / 'said'}"]
    assert cli.main(words) == 0
    rows = csv_rows(tmp_path / "said" / "attributes.csv")
    assert len(rows) == 60
    assert set(saved["attribute_schema"]["attributes"]) <= set(rows[0])


def test_attributes_left_out_in_the_test_alone(
    small_faces: list[str], face_classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["test", "--config=face_attributes/demo", *small_faces, "--data.init_args.exclude_attributes=[Smiling]"]
    assert cli.main([*words, f"--ckpt_path={face_classifier}", f"--output={tmp_path}"]) == 2
    sentence = capsys.readouterr().err
    assert "differ in attribute_schema: attributes (only in the first: Smiling), heads" in sentence
    assert len(sentence) < 1000  # no 73 names


@pytest.mark.parametrize("config", ["generate", "generate_paper"])
@pytest.mark.parametrize("fast", [True, False])
def test_generate(config: str, fast: bool, face_generator: Path, tmp_path: Path) -> None:
    words = ["generate", "--config", f"face_attributes/{config}", f"--ckpt_path={face_generator}"]
    words += ["--attributes", "Smiling, Eyeglasses, Gray Hair", "--count=2", f"--output={tmp_path}"]
    words += ["--model.init_args.inversion.steps=4", "--trainer.accelerator=cpu"]
    if fast:
        words.append("--trainer.fast_dev_run=1")
    assert cli.main(words) == 0
    folder = tmp_path / "fast_dev_run" if fast else tmp_path
    pictures = [path for path in folder.glob("*.png") if path.name != "sheet.png"]
    assert len(pictures) == 2
    assert all(Image.open(path).size == (32, 32) for path in pictures)
    assert all(json.loads(path.with_suffix(".json").read_text())["seed"] in (0, 1) for path in pictures)


@pytest.mark.parametrize("fast", [True, False])
def test_reconstruct(fast: bool, face_generator: Path, face_tree: Path, tmp_path: Path) -> None:
    words = ["predict", "--config", "face_attributes/reconstruct", f"--ckpt_path={face_generator}"]
    words += [f"--data.init_args.path={face_tree / '000001.jpg'}", f"--output={tmp_path}", "--trainer.accelerator=cpu"]
    words += ["--model.init_args.inversion.steps=4", *(["--trainer.fast_dev_run=1"] if fast else [])]
    assert cli.main(words) == 0
    assert fast or list(tmp_path.rglob("*.csv"))


def test_evaluate(face_generator: Path, face_judge: Path, tmp_path: Path) -> None:
    words = ["evaluate-faces", "--config", "face_attributes/evaluate", f"--ckpt_path={face_generator}"]
    words += ["--judges", str(face_judge), "--requests=4", "--validation_requests=4"]
    words += ["--reference=24", "--known=0.5", "--sheet_faces=2", "--inversion.steps=2", "--device=cpu"]
    words += ["--modes", "regression", "paper", "mean_face", "--candidates", "[regression]", f"--output={tmp_path}"]
    assert cli.main(words) == 0
    assert list(tmp_path.glob("*.csv"))
    assert list(tmp_path.glob("*.png"))
    told = json.loads((tmp_path / "evaluation.json").read_text())["independence"]
    assert told["the generator"] == "learnt from nobody of the requests, as far as its file tells"
    assert told["judge A"] == "learnt from nobody of the requests or of the made faces"
