"""Every shipped configuration of inspection parses and runs: fit, test and predict, with and without fast_dev_run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cli
from datamodules.inspection.store.feedback import FeedbackStore
from lightning_modules.commands.mentoring.loop import Loop, parse
from lightning_modules.commands.rows.results import option_arguments
from tests.configs.shipped import SMALL_PARTS, command_words, configs_of, name_of, tried

INSPECTION = configs_of("inspection")
LOOPS = [path for path in INSPECTION if path.name.startswith("loop")]
TRAINING = [path for path in INSPECTION if path not in LOOPS and path.name != "mine.yaml"]


def own_options(path: Path, tree: Path, store: Path | None, checkpoint: Path | None) -> list[str]:
    """The words after the program in the file's first line, with real paths, and the smallest sizes."""
    words = command_words(path)[1:]
    if path.name.startswith(("deeppcb", "magnetic_tile")):  # their list has one name
        list_file = tree / ("tiles.csv" if path.name.startswith("magnetic") else "boards.csv")
        (tree / "manifest.csv").write_text(list_file.read_text())
    words = [str(tree) if word == "FOLDER" else word for word in words]
    words = [str(store) if word == "DIR/feedback.sqlite" else word for word in words]
    words = [str(checkpoint) if word == "FILE" else word for word in words]
    small = {"model.init_args.backbone": "small", "model.init_args.width": 4, "data.init_args.batch_size": 4}
    small |= {"trainer.max_epochs": 1, "trainer.check_val_every_n_epoch": 1, "trainer.accelerator": "cpu"}
    if path.name == "demo.yaml":
        small |= {f"data.init_args.demo.{name}": value for name, value in (*SMALL_PARTS.items(), ("size", 64))}
    if path.name in ("segmenter.yaml", "detector.yaml", "mentored.yaml"):
        small |= {"data.init_args.val_fraction": 0.25, "data.init_args.test_fraction": 0.25}
        small |= {"data.init_args.crop_size": 64}
    if path.name == "deeppcb.yaml" or path.name == "deeppcb_detector.yaml":
        small |= {"data.init_args.image_size": 96}
    if path.name.startswith(("deeppcb", "magnetic_tile")):  # the parts show one of the format's classes
        small |= {"data.init_args.classes": ["open" if path.name.startswith("deeppcb") else "break"]}
    return [*words, *option_arguments(small)]


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
@pytest.mark.parametrize("fast", [True, False], ids=["fast_dev_run", "real"])
def test_fit_test_and_predict(
    path: Path, fast: bool, part_tree: Path, deployed: tuple[Path, Path], tmp_path: Path
) -> None:
    options = own_options(path, part_tree, *deployed)
    asked = [word for word in options if "weights" not in word and word != str(deployed[1])]
    checkpoint = tried(tmp_path, fast, *options, tested=asked)
    if checkpoint is None:
        return
    mining = ["predict", "--config", "inspection/mine", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
    mining += [f"--data.init_args.path={part_tree / 'images'}", f"--output={tmp_path / 'mined'}"]
    assert cli.main([*mining, "--model.init_args.threshold=0.0001"]) == 0
    store = FeedbackStore(tmp_path / "mined" / "feedback.sqlite")
    assert store.progress(store.runs()[0].id, "nobody").detections > 0


@pytest.mark.parametrize("path", LOOPS, ids=name_of)
def test_loop_parses_and_its_rows_are_options_of_its_training(path: Path, tmp_path: Path) -> None:
    words = [str(tmp_path) if word == "FOLDER" else word for word in command_words(path)[1:]]
    settings = parse(words)
    loop = Loop(settings)
    assert settings.baseline == "baseline"
    assert len(loop.folders()) == len(settings.seeds) * (1 + len(settings.rows))
    (first, *_) = loop.ready()
    assert first.folder.name == "baseline"


@pytest.mark.parametrize("path", LOOPS, ids=name_of)
def test_rows_of_a_loop_are_accepted_by_fit(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(tmp_path) if word == "FOLDER" else word for word in command_words(path)[1:]]
    settings = parse(words)
    for row in settings.rows.values():
        filled = {
            name: re.sub(r"\{\w+\}", "3", value) if isinstance(value, str) else value
            for name, value in row.options.items()
        }
        assert cli.main(["fit", "--config", settings.fit, *option_arguments(filled), "--print_config"]) == 0
    assert "class_path" in capsys.readouterr().out
