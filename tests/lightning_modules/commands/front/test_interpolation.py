"""Trap: ${...} follows what the command line and later files change, and needs no subcommand's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = """
model: {class_path: ToyModel, init_args: {width: "${data.init_args.batch_size}"}}
data: {class_path: ToyData, init_args: {batch_size: 6}}
"""
SECOND = "model: {init_args: {depth: '${data.init_args.batch_size}'}}"


@pytest.fixture
def configs(workdir: Path) -> None:
    (workdir / "one.yaml").write_text(CONFIG, encoding="utf-8")
    (workdir / "two.yaml").write_text(SECOND, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--config", "one"], {"width": 6, "depth": 1}),
        (["--config", "one", "--data.init_args.batch_size", "9"], {"width": 9, "depth": 1}),
        (["--config", "one", "--config", "two"], {"width": 6, "depth": 6}),
        (["--config", "one", "--config", "two", "--data.init_args.batch_size=4"], {"width": 4, "depth": 4}),
    ],
    ids=["plain", "command line", "two files", "both"],
)
def test_interpolation(
    arguments: list[str], expected: dict[str, int], appraise: Callable[..., Any], configs: None
) -> None:
    done = appraise("fit", *arguments, "--print_config")
    assert done.code == 0, done.err
    used = yaml.safe_load(done.out)["model"]["init_args"]
    assert {name: used[name] for name in expected} == expected


def test_the_run_uses_what_is_printed(appraise: Callable[..., Any], configs: None, workdir: Path) -> None:
    assert appraise("fit", "--config", "one", "--data.init_args.batch_size", "9", "--trainer.max_epochs=1").code == 0
    saved = yaml.safe_load((workdir / "runs/one/version_0/config.yaml").read_text(encoding="utf-8"))
    assert saved["model"]["init_args"]["width"] == 9
    hparams = yaml.safe_load((workdir / "runs/one/version_0/hparams.yaml").read_text(encoding="utf-8"))
    assert hparams["width"] == 9


def test_an_unknown_reference_is_named(appraise: Callable[..., Any], configs: None, workdir: Path) -> None:
    (workdir / "three.yaml").write_text(SECOND.replace("batch_size", "absent"), encoding="utf-8")
    done = appraise("fit", "--config", "one", "--config", "three")
    assert done.code == 2
    assert "model.init_args.depth" in done.sentence
    assert "data.init_args.absent" in done.sentence
