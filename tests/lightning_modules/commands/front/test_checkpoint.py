"""Trap: what the user states is never silently beaten by what a checkpoint holds, nor the other way round."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning as L
import pytest
import torch
import yaml

from tests.running import Command

STAGES = ["fit", "validate", "test", "predict"]


def effective(appraise: Command, *arguments: str) -> Any:
    done = appraise(*arguments, "--print_config")
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stated_value_that_differs_stops(stage: str, appraise: Command, checkpoint: Path) -> None:
    for stated in (["--model.init_args.width", "32"], ["--model.width=32"]):
        done = appraise(stage, "--config", "toy", *stated, "--ckpt_path", str(checkpoint))
        assert done.code == 2
        assert "width is 32" in done.sentence
        assert f"{checkpoint} holds width = 6" in done.sentence
        assert ("new training" in done.sentence) == (stage == "fit")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stated_value_in_a_file_that_differs_stops(
    stage: str, appraise: Command, checkpoint: Path, workdir: Path
) -> None:
    text = (workdir / "toy.yaml").read_text(encoding="utf-8").replace("width: 6", "width: ${data.init_args.batch_size}")
    (workdir / "other.yaml").write_text(text, encoding="utf-8")
    done = appraise(stage, "--config", "other", "--ckpt_path", str(checkpoint))
    assert done.code == 2
    assert "width is 2 " in done.sentence


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_not_stated_comes_from_the_checkpoint(stage: str, appraise: Command, checkpoint: Path) -> None:
    """Also when no class is stated, and --print_config shows what will be used."""
    used = effective(appraise, stage, "--data", "ToyData", "--ckpt_path", str(checkpoint))
    assert used["model"]["class_path"] == "toy_parts.ToyModel"
    assert used["model"]["init_args"]["width"] == 6


def test_a_checkpoint_named_in_a_file(appraise: Command, checkpoint: Path, workdir: Path) -> None:
    (workdir / "more.yaml").write_text(f"ckpt_path: {checkpoint}\nmodel: ToyModel\ndata: ToyData", encoding="utf-8")
    assert effective(appraise, "test", "--config", "more")["model"]["init_args"]["width"] == 6
    assert "width is 9" in appraise("test", "--config", "more", "--model.width", "9").sentence


def test_another_class_stops(appraise: Command, checkpoint: Path) -> None:
    done = appraise("test", "--data", "ToyData", "--model", "OtherModel", "--ckpt_path", str(checkpoint))
    assert done.code == 2
    assert "toy_parts.OtherModel" in done.sentence
    assert "written by toy_parts.ToyModel" in done.sentence


def test_data_gets_the_facts_that_the_model_was_trained_on(appraise: Command, checkpoint: Path, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--data.num_classes", "7", "--trainer.max_epochs", "1").code == 0
    seven = next((workdir / "runs/toy/version_1/checkpoints").glob("*.ckpt"))
    used = effective(appraise, "test", "--config", "toy", "--ckpt_path", str(seven))
    assert used["data"]["init_args"]["num_classes"] == 7
    done = appraise("test", "--config", "toy", "--data.num_classes", "5", "--ckpt_path", str(seven))
    assert done.code == 2
    assert f"{seven} says num_classes = 7" in done.sentence
    assert "ToyData.num_classes = 5" in done.sentence


def test_resume_continues(appraise: Command, checkpoint: Path, workdir: Path) -> None:
    done = appraise("fit", "--config", "toy", "--trainer.max_epochs", "3", "--ckpt_path", str(checkpoint))
    assert done.code == 0, done.err
    names = [path.name for path in (workdir / "runs/toy/version_1/checkpoints").iterdir()]
    assert names == ["epoch=2-step=9.ckpt"]


def test_the_optimiser_may_change_on_resume(appraise: Command, checkpoint: Path) -> None:
    arguments = ["fit", "--config", "toy", "--ckpt_path", str(checkpoint), "--trainer.max_epochs", "2"]
    done = appraise(*arguments, "--model.optimizer", "SGD", "--model.optimizer.lr", "0.5")
    assert done.code == 0, done.err


def test_weights_are_not_read_again(appraise: Command, workdir: Path) -> None:
    assert appraise("fit", "--config", "toy", "--model.weights", "begin.pth").code == 0
    trained = next((workdir / "runs/toy/version_0/checkpoints").glob("*.ckpt"))
    stated: list[str]
    for stated in ([], ["--model.weights", "begin.pth"]):
        used = appraise("test", "--config", "toy", *stated, "--ckpt_path", str(trained), "--output", "out")
        assert used.code == 0, used.err
        record = yaml.safe_load((workdir / "out/config.yaml").read_text(encoding="utf-8"))
        assert record["model"]["init_args"]["weights"] is None
        assert ("begin.pth is not read" in used.err) == bool(stated)


class Dangerous:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("stage", STAGES)
def test_a_checkpoint_runs_no_code(stage: str, appraise: Command, checkpoint: Path, workdir: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "extra": Dangerous()}, workdir / "bad.ckpt")
    done = appraise(stage, "--config", "toy", "--ckpt_path", "bad.ckpt")
    assert done.code == 1
    assert "bad.ckpt cannot be read as a checkpoint of tensors and plain values alone" in done.sentence
    assert not (workdir / "hacked").exists()
    assert effective(appraise, stage, "--config", "toy")["weights_only"] is True


def test_a_checkpoint_written_here_needs_no_trust(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    assert content["hyper_parameters"]["width"] == 6
    assert "optimizer" not in content["hyper_parameters"]
    # Facts that this model does not take are not kept with it.
    assert "grid_size" not in content["hyper_parameters"]


def test_a_checkpoint_of_a_training_in_python(appraise: Command, toy: ModuleType, workdir: Path) -> None:
    trainer = L.Trainer(max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(toy.ToyModel(width=5, num_classes=5), toy.ToyData())
    trainer.save_checkpoint("own.ckpt")
    used = effective(appraise, "test", "--model", "ToyModel", "--data", "ToyData", "--ckpt_path", "own.ckpt")
    assert used["model"]["init_args"]["width"] == 5
    done = appraise("test", "--data", "ToyData", "--ckpt_path", "own.ckpt")
    assert "does not name the class of its model; add --model CLASS" in done.sentence


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "cannot be read as a checkpoint"), (b"some text", "own.ckpt"), (None, "holds bare weights")],
    ids=["empty", "text", "bare weights"],
)
def test_files_that_are_no_checkpoint(content: bytes | None, expected: str, appraise: Command, workdir: Path) -> None:
    if content is None:
        torch.save({"layer.weight": torch.zeros(1)}, workdir / "own.ckpt")
    else:
        (workdir / "own.ckpt").write_bytes(content)
    done = appraise("test", "--config", "toy", "--ckpt_path", "own.ckpt")
    assert done.code == 1
    assert expected in done.sentence


def test_a_mistyped_checkpoint_names_the_nearest(appraise: Command, checkpoint: Path) -> None:
    done = appraise("test", "--config", "toy", "--ckpt_path", str(checkpoint).replace("epoch=0", "epoch=1"))
    assert f"did you mean {checkpoint}?" in done.sentence


def test_predict_needs_weights(appraise: Command, checkpoint: Path) -> None:
    done = appraise("predict", "--config", "toy")
    assert done.code == 2
    assert "add --run FOLDER or --ckpt_path FILE" in done.sentence
    assert "--model.init_args.weights FILE" in done.sentence
    assert appraise("predict", "--config", "toy", "--model.weights", "named.pth").code == 0
    assert appraise("predict", "--config", "toy", "--ckpt_path", str(checkpoint)).code == 0
    assert effective(appraise, "predict", "--config", "toy")["return_predictions"] is False
