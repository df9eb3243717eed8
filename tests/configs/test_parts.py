"""Every shipped part of a trainer's configuration parses with every method's demo."""

from __future__ import annotations

import pytest
import yaml

import cli
from lightning_modules.commands.front.config_files import config_names

PARTS = [name for name in config_names(parts=True) if name.startswith("_parts/trainer/")]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("config", ["video_quality/demo", "inspection/demo", "action/demo", "face_attributes/demo"])
def test_a_part_of_the_trainer_wins_over_the_demo(part: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", "--config", config, "--trainer", part, "--print_config"]) == 0
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    assert trainer["accelerator"] == ("cpu" if part.endswith("cpu") else "gpu")
    assert trainer["max_epochs"] > 1
