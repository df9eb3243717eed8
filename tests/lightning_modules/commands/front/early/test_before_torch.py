"""What is wrong with a command line is said before PyTorch is imported."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import lightning as L
import pytest

from lightning_modules.commands.front.early.class_arguments import PUBLIC, class_arguments
from lightning_modules.commands.front.early.known_options import COMMON, OF_COMMAND, TRAINER
from tests.running import REPOSITORY, Command

WRONG = {
    "fit --config video_quality/dem": "did you mean video_quality/demo",
    "fit --config video_quality/demo --trainer.max_epoch 3": "did you mean --trainer.max_epochs",
    "fit --config video_quality/demo --model.learning_rat 3": "did you mean learning_rate?",
    "fit --config video_quality/demo --data.init_args.batchsize 3": "did you mean batch_size?",
    "fit --model KSVEQ": "did you mean KSVQE?",
    "fit --model lightning_modules.Nope": 'no class "Nope": known are AttributeFaceGenerator',
    "fit --model Nope": 'no class "Nope": known are AttributeFaceGenerator',
    "fit --config nope.yaml": 'no class "KSVEQ": did you mean KSVQE?',
    "fit --model lightning_modules.action.modul.A": "did you mean module?",
    "fit --model mine.KSVEQ": "mine has no class",
    "fit --model mien.KSVEQ": 'no module "mien": did you mean mine?',
    "fit --data ActionDataModul": "did you mean ActionDataModule",
    "fit --trainer.callbacks+=EarlyStoping": "did you mean EarlyStopping?",
    "fit --config inspection/segmenter --data.root folder": "name it with --data.init_args.label_format (manifest",
    "fit --config inspection/segmenter --data.root folder --data.label_format foldr": "did you mean folder?",
    "fit --config inspection/segmenter --data.root folder --data.label_format coco": "(each is an option: --data.in",
    "fit --model KSVQE --data VideoQualityDataModule --data.labels folder/a.mp4": "--data.init_args.label_format (kvq",
    "fit --config action/frozen --data.label_format csv": "but no list is given",
    "fit --config face_attributes/imagenet --data.labels folder": "there is no such file",
    "annotate folder/a.mp4 --mode center --model A": '--mode: "center" is none of its values: did you mean centred?',
    "fit --model KSVQE --model.preset ofcial": "did you mean official?",
    "export --run nowhere --output x": "--run nowhere: there is no such folder",
    "export --output x": "add --run FOLDER or --ckpt_path FILE",
    "run-exported folder new --output x": 'did you mean "new parts"? A name with spaces needs quotes',
    "run-exported foldr folder --output x": "foldr: there is no such file or folder: did you mean folder?",
    "extract-frames foldr --output x": "foldr: there is no such file or folder: did you mean folder?",
    "export --ckpt_path folder/a.mp4 --output x --input=foldr": "--input foldr: there is no such file or folder",
    "predict --config inspection/mine --data.path nowhere": "--data.path nowhere: there is no such file or folder",
    "fit --config action/frozen --data.augmentation none": 'augmentation: "none" is no value of it: null leaves it out',
    "fit --outptu x": "did you mean --output?",
    "fit --config video_quality/kvq": "give yours with --data.init_args.root",
    "fit --config inspection/segmenter --data.root folde": "did you mean folder?",
    "predict --config video_quality/score --data.path folder/a.mp": "did you mean folder/a.mp4?",
    "test --ckpt_path runs/best.ckpt": "there is no checkpoint runs/best.ckpt",
    "fit --config inspection/segmenter --data.root new parts": "? A name with spaces needs quotes",
    "predict --config inspection/mine --data.path folder": "predict needs a trained model: add --run",
    "predict --ckpt_path folder": ". --run takes the folder of a run",
    "test --run runs": "there is no such folder",
    "generate --ckpt_path runs/best.ckpt": "there is no checkpoint runs/best.ckpt",
    "export --ckpt_pat runs/best.ckpt": "did you mean --ckpt_path?",
    "evaluate-faces --config face_attributes/evaluate --judge a": "did you mean --judges",
    "measure-generated --generated a=foldr --training folder": "--generated foldr: there is no such file or folder",
    "measure-generated --generated folder --trainin folder": "did you mean --training",
    "mentor-loop --config inspection/loop --sedes [0]": "did you mean --seeds",
    "sweep sweeps/ksvqe --ofline": "did you mean --offline?",
    "submit --confg a": "did you mean --config",
    "annotate folder/b.mp4 --ckpt_path folder/a.mp4": "folder/b.mp4: there is no such file or folder",
}
PROGRAM = """
import contextlib, io, json, sys
import cli
said = []
for line in json.loads(sys.stdin.read()):
    with contextlib.redirect_stderr(io.StringIO()) as text:
        code = cli.main(line.split())
    said.append([code, text.getvalue(), "torch" in sys.modules])
print(json.dumps(said))
"""


def test_nothing_heavy_is_imported_for_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "new parts").mkdir()
    (tmp_path / "folder/a.mp4").touch()
    (tmp_path / "mine.py").write_text("class Finder: ...")
    (tmp_path / "nope.yaml").write_text("model: {class_path: lightning_modules.KSVEQ}")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(list(WRONG)), cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for (line, expected), (code, text, heavy) in zip(WRONG.items(), json.loads(done.stdout), strict=True):
        assert (code, heavy) == (2, False), line
        assert expected in text, line


@pytest.mark.parametrize("package", PUBLIC)
def test_arguments_read_from_the_source_are_those_of_the_class(package: str) -> None:
    for name in PUBLIC[package]:
        expected = inspect.signature(getattr(import_module(package), name)).parameters
        found = class_arguments(f"{package}.{name}")
        assert found is not None
        assert set(found) == set(expected), name
        for argument, default in found.items():
            if isinstance(default, (str, bool, int, float)):
                assert expected[argument].default in (default, None), (name, argument)  # None: a preset fills it


def test_arguments_of_the_trainer() -> None:
    assert set(class_arguments(TRAINER) or ()) == set(inspect.signature(L.Trainer).parameters)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_options_are_those_of_the_parser(command: str, appraise: Command) -> None:
    shown = appraise(command, "--help-all").out
    known = {*COMMON, *OF_COMMAND.get(command, ())} - {"run", "help-all"}
    assert known == set(re.findall(r"(?<!\S)\[?--(\w+)", shown))


def test_a_class_that_replaces_another_forgets_its_arguments(appraise: Command) -> None:
    done = appraise("fit", "--config", "video_quality/demo", "--model", "ToyModel", "--print_config")
    assert done.code == 0, done.err
