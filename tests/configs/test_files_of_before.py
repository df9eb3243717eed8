"""Checkpoints, configurations and a feedback store that the version before the rooms wrote are read by this one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cli
import datamodules.common.moved
import lightning_modules
from datamodules.inspection.store.feedback import FeedbackStore

OLD = Path(__file__).parent / "files_of_before"
METHODS = {
    "ksvqe": "KSVQE",
    "segmenter": "MentoringSegmenter",
    "detector": "MentoringDetector",
    "recogniser": "FrameAveragingActionRecognizer",
    "classifier": "FaceAttributeClassifier",
    "generator": "AttributeFaceGenerator",
}


def checkpoint(method: str) -> Path:
    return next((OLD / method).glob("*.ckpt"))


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_has_the_keys_that_it_would_have_today(method: str) -> None:
    saved: dict[str, Any] = torch.load(checkpoint(method), map_location="cpu", weights_only=True)
    built = getattr(lightning_modules, METHODS[method]).load_from_checkpoint(
        checkpoint(method), map_location="cpu", weights_only=True
    )
    assert built.state_dict().keys() == saved["state_dict"].keys()
    assert all(torch.equal(value, saved["state_dict"][name]) for name, value in built.state_dict().items())
    today = dict(built.hparams)
    own = {"_free", "_instantiator"}  # marks of the command line
    assert today.keys() - own == saved["hyper_parameters"].keys() - own
    for name in today.keys() - own:
        assert today[name] == saved["hyper_parameters"][name], name


@pytest.fixture
def trees(part_tree: Path, clip_tree: Path) -> dict[str, list[str]]:
    """What replaces the folders that the configurations name."""
    return {
        "segmenter": [f"--data.init_args.root={part_tree}"],
        "detector": [f"--data.init_args.root={part_tree}"],
        "recogniser": [f"--data.init_args.root={clip_tree}"],
        "classifier": [f"--data.init_args.attribute_schema={OLD / 'few.yaml'}"],
        "generator": [f"--data.init_args.attribute_schema={OLD / 'few.yaml'}"],
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_runs_with_its_checkpoint(method: str, trees: dict[str, list[str]], tmp_path: Path) -> None:
    command = "validate" if method == "generator" else "test"
    words = [command, "--config", str(OLD / method / "config.yaml"), f"--output={tmp_path}", *trees.get(method, [])]
    words += ["--trainer.logger=false", f"--ckpt_path={checkpoint(method)}"]
    if method == "generator":  # it counts; the classifier is in its checkpoint
        words += ["--model.init_args.classifier_weights=null"]
    assert cli.main(words) == 0


def test_a_store_is_read_and_answered(tmp_path: Path) -> None:
    shutil.copytree(OLD / "segmenter", tmp_path / "store")
    with FeedbackStore(tmp_path / "store" / "feedback.sqlite") as store:
        (run,) = store.runs()
        assert [answer.verdict for answer in store.answers()] == ["reject"] * 6
        item = store.next_items(run.id, "test", limit=1)[0]
        store.answer(
            client_id="today-0001",
            run_id=run.id,
            image_id=item.image_id,
            detection_id=item.id,
            verdict="confirm",
            annotator="test",
        )
        assert len(store.answers()) == 7
        assert store.map_path(run.id, item.image_id).is_file()


def test_old_paths_of_classes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "lightning_modules.inspection.detector_module", raising=False)
    with pytest.warns(FutureWarning, match=r"import lightning_modules\.inspection\.detector\.module"):
        from lightning_modules.inspection.detector_module import MentoringDetector

    assert MentoringDetector is lightning_modules.MentoringDetector
    assert all(len(places) >= 1 for places in datamodules.common.moved.MOVED.values())
