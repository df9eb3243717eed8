"""The sweep of frozen layers names what is there."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier


def test_the_sweep_of_frozen_layers_can_be_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    sweep = yaml.safe_load((repository / "configs" / "sweeps" / "face_freeze.yaml").read_text())
    assert (repository / sweep["program"]).is_file()
    arguments = set(inspect.signature(FaceAttributeClassifier).parameters)
    names = [name.removeprefix("model.init_args.") for name in sweep["parameters"]]
    assert names == ["freeze_below", "layer_decay"]
    assert set(names) <= arguments
    assert {"fc6", "conv5"} <= set(sweep["parameters"]["model.init_args.freeze_below"]["values"])
    monkeypatch.setenv("PUBFIG", "/faces")
    monkeypatch.setenv("VGG_FACE", "/vgg.pth")
    command = utils.create_sweep_command(sweep["command"])
    assert command[-1] == "${args}"
    assert {"--data.init_args.root=/faces", "--model.init_args.backbone_weights=/vgg.pth"} <= set(command)
    config = next(word.removeprefix("--config=") for word in command if word.startswith("--config="))
    assert (repository / config).is_file()
