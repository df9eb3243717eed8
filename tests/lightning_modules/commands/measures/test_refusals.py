"""What `measure-generated` refuses, in a sentence, before any long work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.lightning_modules.commands.conftest import Command
from tests.lightning_modules.commands.measures.drawn import draw_faces, save_faces

PIXELS = "lightning_modules.face_diffusion.rewards.embedders.PixelEmbedder"


@pytest.fixture
def folders(workdir: Path) -> Path:
    """Folders ``made`` and ``training`` of six pictures each in the current folder."""
    save_faces(workdir / "made", draw_faces(6, 0)[0])
    save_faces(workdir / "training", draw_faces(6, 1)[0])
    save_faces(workdir / "training/part", draw_faces(2, 2)[0])
    save_faces(workdir / "few", draw_faces(2, 2)[0])
    (workdir / "empty").mkdir()
    (workdir / "text.csv").write_text("file,Smiling\n00000.png,1\n")
    (workdir / "torn.pt").write_bytes(b"torn")
    (workdir / "learnt.csv").write_text("file\ntraining/00000.png\ntraining/00001.png\ntraining/00002.png\n")
    (workdir / "gone.csv").write_text("file\ntraining/00000.png\ntraining/gone.png\n")
    torch.jit.script(torch.nn.Linear(5, 2)).save(str(workdir / "other.pt"))
    return workdir


BASE = "--generated made --training training"
WRONG = {
    "--training training": "name a folder of made pictures as --generated DIR",
    "--generated made": "name the folder of the pictures that the model learnt from as --training DIR",
    "--generated maed --training training": "--generated maed: there is no such file or folder: did you mean made?",
    "--generated a=maed --training training": "--generated maed: there is no such file or folder",
    "--generated made --training nowhere": "--training nowhere: there is no such file or folder",
    "--generated text.csv --training training": "--generated text.csv is a file: give a folder",
    "--generated empty --training training": "--generated empty holds no picture and no video",
    "--generated training --training training": "are both training, so that each picture is found in itself",
    "--generated training/part --training training": "overlap, since training/part lies in training",
    f"{BASE} --held_out learnt.csv": "training and held out both hold",
    "--generated training --training learnt.csv": "training and training both hold",
    "--generated made --training gone.csv": "there is no image",
    f"{BASE} --held_out training/part": "--training and --held_out overlap",
    "--generated a=made --generated a=few --training training": "there is another set named a",
    "--generated training=made --training training": "there is another set named training",
    "--generated few --training training": "few has 2 files, but precision and recall look at the 3 nearest",
    f"{BASE} --neighbours 6": "made has 6 files, but precision and recall look at the 6 nearest",
    f"{BASE} --classes Smiling": "nobody says which pictures show Smiling: give a --judge",
    f"{BASE} --classes Smilling --attributes text.csv": "classes names Smilling, but the attributes are ",
    f"{BASE} --classes Beard --attributes text.csv": "Beard",
    f"{BASE} --classes Smiling --attributes absent.csv": "--attributes absent.csv: there is no such file",
    f"{BASE} --target 0.5": "target is given, but no classes",
    f"{BASE} --classes Smiling --attributes text.csv --target 0.5 0.6": "target is [0.5, 0.6]; give a share in 0..1",
    f"{BASE} --intersections Smiling --attributes text.csv": "intersections names 1 attributes",
    f"{BASE} --embedder PixelEmbeder": 'there is no class "PixelEmbeder": did you mean PixelEmbedder or',
    f"{BASE} --embedder CopyDetector --embedder.file torn.pt": "torn.pt is no TorchScript archive",
    f"{BASE} --embedder CopyDetector --embedder.file other.pt": "the embedder CopyDetector cannot look at a picture",
    f"{BASE} --embedder CopyDetector --embedder.file gone.pt": "There is no TorchScript file at gone.pt",
    f"{BASE} --parts 7": "parts is 7, but the 768 features of PixelEmbedder cannot be cut",
    f"{BASE} --judge FaceJudge --judge.checkpoint torn.pt --classes Smiling": "torn.pt",
    f"{BASE} --trainng x": "did you mean --training?",
    f"{BASE} --image_size 4": "image_size is 4, but must be in 8..1024",
    f"{BASE} --output made/out": "--output made/out lies in made, so that its figures would be taken for pictures",
    f"{BASE} --classes": "--classes needs a value",
    f"{BASE} --classes Smiling --attributes text.csv --target half": "target: expected float, got half",
    f"{BASE} --neighbours few": "neighbours: expected int, got few",
    f"{BASE} --embedder TimmEmbedder": "TimmEmbedder needs --embedder.init_args.name",
    f"{BASE} --embedder PixelEmbedder --embedder.sid 8": 'PixelEmbedder has no argument "sid": did you mean side?',
    f"{BASE} --judge FaceJudge --classes Smiling": "FaceJudge needs --judge.init_args.checkpoint",
    f"{BASE} --embedder nobodys.Own": 'nobodys.Own cannot be imported, there is no module "nobodys"',
    f"{BASE} --output text.csv": "--output text.csv is a file: name a folder",
}


def test_each_is_one_sentence(folders: Path, appraise: Command) -> None:
    for line, expected in WRONG.items():
        done = appraise("measure-generated", *line.split())
        assert done.code in (1, 2), line
        assert expected in done.sentence, line
        assert done.sentence.startswith("appraise measure-generated: "), line


def test_an_unknown_class_of_a_judge_is_named_with_the_known_ones(folders: Path, appraise: Command) -> None:
    judge = [
        "--judge",
        "FunctionJudge",
        "--judge.function",
        "tests.lightning_modules.commands.measures.drawn.colour_of",
    ]
    words = [*BASE.split(), *judge, '--judge.classes=["red", "blue"]', "--classes", "green"]
    done = appraise("measure-generated", *words)
    assert "FunctionJudge knows no green; it knows red, blue" in done.sentence


def test_a_damaged_picture_is_named_or_skipped(folders: Path, appraise: Command) -> None:
    (folders / "made/torn.png").write_bytes((folders / "made/00000.png").read_bytes()[:200])
    done = appraise("measure-generated", *BASE.split())
    assert done.code == 1
    assert "torn.png cannot be read" in done.sentence
    assert "--on_error skip" in done.sentence
    assert not (folders / "runs").exists()
    done = appraise("measure-generated", *BASE.split(), "--on_error", "skip", "--output", "out")
    assert done.code == 0
    assert "skipped" in done.err
    assert "torn.png" in done.err
    assert "made, 6 pictures" in done.out
    for file in (folders / "made").glob("0*.png"):
        file.write_bytes(b"")
    done = appraise("measure-generated", *BASE.split(), "--on_error", "skip")
    assert done.code == 2 or done.code == 1
    assert "not one picture of" in done.err


def test_a_single_training_picture(folders: Path, appraise: Command) -> None:
    save_faces(folders / "single", draw_faces(1, 7)[0])
    done = appraise("measure-generated", "--generated", "made", "--training", "single")
    assert "holds one file alone" in done.sentence
