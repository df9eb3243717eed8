"""``appraise generate`` with an untrained network: arguments, errors, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_modules.commands.faces.generate import predict_arguments
from lightning_modules.commands.front.errors import CommandLineError
from tests.lightning_modules.commands.faces.small_faces import Files
from tests.running import Command


def test_bare_names_reach_model_data_and_writer(files: Files) -> None:
    arguments = ["--ckpt_path", str(files.generator), "--attributes", "Smiling, no Bangs", "--count=2", "--force"]
    arguments += ["--mode", "paper", "--inversion.steps", "9", "--strips", "false", "--from-list=a.csv", "--output=x"]
    assert predict_arguments(arguments) == [
        "--config=face_attributes/generate",
        f"--ckpt_path={files.generator}",
        "--data.init_args.attributes=Smiling, no Bangs",
        "--data.init_args.count=2",
        "--data.init_args.force=true",
        "--model.init_args.mode=paper",
        "--model.init_args.inversion.steps=9",
        "--trainer.callbacks.init_args.strips=false",
        "--data.init_args.from_list=a.csv",
        "--output=x",
    ]
    shown = predict_arguments(["-c", "mine.yaml", "--print_config=skip_default"])
    assert shown == ["--config=face_attributes/generate", "--config=mine.yaml", "--print_config=skip_default"]


def test_a_classifier_needs_statistics(files: Files) -> None:
    asked = ["--attributes=Bald", f"--ckpt_path={files.classifier}"]
    found = predict_arguments([*asked, f"--statistics={files.statistics}"])
    assert f"--model.init_args.classifier_weights={files.classifier}" in found
    assert f"--model.init_args.statistics_weights={files.statistics}" in found
    assert not any(argument.startswith("--ckpt_path") for argument in found)
    with pytest.raises(CommandLineError, match="is a classifier, which knows no statistics"):
        predict_arguments(asked)
    with pytest.raises(CommandLineError, match="holds its own statistics"):
        predict_arguments(["--attributes=Bald", f"--ckpt_path={files.generator}", "--statistics=s.safetensors"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--attributes", "Bald"], "needs a trained network"),
        (["--ckpt_path", "a.ckpt"], "needs to know what to make"),
        (["--attributes", "Bald", "Smiling", "--ckpt_path", "a.ckpt"], '"Smiling" is none: put attributes in quotes'),
        (["--attributes", "Bald", "--ckpt_path", "missing.ckpt"], "there is no checkpoint missing.ckpt"),
    ],
)
def test_arguments_that_cannot_work(arguments: list[str], expected: str) -> None:
    with pytest.raises(CommandLineError, match=expected):
        predict_arguments(arguments)


def test_everything_is_written(appraise: Command, files: Files, workdir: Path) -> None:
    options = ["--ckpt_path", str(files.generator), "--output", "out", "--count", "2", "--seed", "5"]
    result = appraise("generate", *options, "--attributes", "Smiling, Eyeglasses, Gray Hair")
    assert result.code == 0, result.err
    names = {path.name for path in (workdir / "out").iterdir()}
    assert {"sheet.png", "faces.json", "strips"} < names
    faces = json.loads((workdir / "out" / "faces.json").read_text(encoding="utf-8"))
    assert [face["seed"] for face in faces] == [5, 6]
    assert faces[0]["asked_for"] == ["Eyeglasses", "Smiling", "Gray Hair"]
    assert set(faces[0]["target_distances"]) == {"conv2_1", "fc6"}
    assert len(faces[0]["history"]) == faces[0]["steps"]
    assert Image.open(workdir / "out" / f"{faces[0]['name']}.png").size == (32, 32)


def test_a_classifier_with_its_statistics_makes_the_same_faces(appraise: Command, files: Files, workdir: Path) -> None:
    asked = ["--attributes", "Smiling", "--layers", '["conv2_1", "fc6"]', "--inversion.steps=3"]
    asked.append("--inversion.components=8")
    both = ["--ckpt_path", str(files.classifier), "--statistics", str(files.statistics)]
    for folder, weights in (("one", both), ("two", ["--ckpt_path", str(files.generator)])):
        result = appraise("generate", *weights, *asked, "--output", folder)
        assert result.code == 0, result.err
    first, second = (workdir / folder / "smiling_seed0.png" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_the_picture_of_a_person_stands_beside_the_result(appraise: Command, files: Files, workdir: Path) -> None:
    Image.new("RGB", (50, 40), (180, 140, 120)).save(workdir / "portrait.png")
    options = ["--ckpt_path", str(files.generator), "--output", "out"]
    result = appraise("generate", *options, "--from-image", "portrait.png")
    assert result.code == 0, result.err
    (face,) = json.loads((workdir / "out" / "faces.json").read_text(encoding="utf-8"))
    assert face["attributes_by"] == "the classifier"
    assert face["taken_to_be"]
    assert -1 <= face["similarity"] <= 1
    assert (workdir / "out" / f"{face['name']}_source.png").is_file()


def test_requests_that_cannot_be(appraise: Command, files: Files) -> None:
    options = ["--ckpt_path", str(files.generator), "--output", "out"]
    result = appraise("generate", *options, "--attributes", "Black Hair, Gray Hair")
    assert result.code in (1, 2)
    assert '"Black Hair" and "Gray Hair" exclude each other' in result.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("word", "meant"), [("--atributes=Smiling", "attributes"), ("--from-imag=a.png", "from_image")]
)
def test_a_misspelt_option_is_named(word: str, meant: str) -> None:
    with pytest.raises(CommandLineError, match=f"did you mean --{meant}"):
        predict_arguments(["--ckpt_path", "x.ckpt", word])


def test_what_the_command_cannot_do_is_one_sentence(appraise: Command, tmp_path: Path) -> None:
    done = appraise("generate", "--attributes", "Bald")
    assert (done.code, "needs a trained network" in done.sentence) == (2, True)
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"_class_path": "lightning_modules.KSVQE"}}, path)
    done = appraise("generate", "--attributes", "Bald", f"--ckpt_path={path}")
    assert (done.code, "written by lightning_modules.KSVQE, which makes no faces" in done.sentence) == (1, True)
