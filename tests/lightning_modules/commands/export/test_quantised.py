"""Quantised graphs: smaller, told of honestly, and run by name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import cli
from tests.lightning_modules.commands.export.conftest import Exported

Export = Callable[[str], Exported]


def test_what_int8_costs_and_saves_is_said_on_the_data_of_the_run(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(exported("faces").checkpoint, checkpoint)
    data = {"image_size": 32, "demo": {"seed": 0, "train": 32, "val": 32, "test": 40}}
    config = {"data": {"class_path": "datamodules.FaceAttributeDataModule", "init_args": data}}
    (tmp_path / "version_0" / "config.yaml").write_text(yaml.safe_dump(config))
    command = ["export", f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'out'}", f"--int8={pictures}"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert said.count("(32 inputs, in batches of 1, 3 and 8)") == 2
    assert re.search(r"balanced_accuracy 0\.\d{4} in float32, 0\.\d{4} in int8: loses -?0\.\d{4}\n", said)
    assert re.search(r"0\.\d\d of the size, \d\.\d\d of the time: (slower|faster)", said)
    run = ["run-exported", str(tmp_path / "out"), str(pictures), f"--output={tmp_path / 'rows'}", "--precision=int8"]
    assert cli.main(run) == 0
    assert len((tmp_path / "rows" / "attributes.csv").read_text().splitlines()) == 5


def test_a_graph_without_int8_says_so(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run-exported", str(exported("faces").folder), str(pictures), f"--output={tmp_path}"]
    assert cli.main([*command, "--precision=int8"]) == 1
    assert "holds no int8 graph: export again with --int8" in capsys.readouterr().err
