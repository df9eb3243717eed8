"""The fast path: help, version, list, unknown commands; and how errors end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import callbacks
import cli
import datamodules
import lightning_modules
from datamodules.common.errors import VideoError

FAST = (["--help"], ["--version"], ["list"], ["list", "data"], ["fit", "--help"], ["predict", "-h"], ["doctor", "-h"])


@pytest.mark.parametrize("arguments", FAST, ids=" ".join)
def test_answers_without_torch(arguments: list[str], repository: Path) -> None:
    code = (
        f"import sys, cli; code = cli.main({arguments!r}); heavy = {{'torch', 'lightning', 'numpy', 'jsonargparse'}};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == ""


def test_module_and_file_are_two_ways_to_the_same_door(repository: Path, tmp_path: Path) -> None:
    ways = ([str(repository / "cli.py")], ["-m", "cli"])
    commands = [[sys.executable, *way, "--help"] for way in ways]
    texts = {subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout for command in commands}
    assert len(texts) == 1


def test_front_door_is_small(repository: Path) -> None:
    assert len((repository / "cli.py").read_text(encoding="utf-8").splitlines()) < 200


def test_unknown_command_names_the_nearest(appraise: Callable[..., Any]) -> None:
    done = appraise("tset")
    assert done.code == 2
    assert "did you mean test" in done.sentence


def test_table_matches_lightning(toy: object) -> None:
    from importlib import import_module

    from lightning_modules.commands.front.lightning_cli import AppraiseCLI

    served = {name for name, (module, _) in cli.COMMANDS.items() if module.endswith("lightning_cli")}
    assert served == set(AppraiseCLI.subcommands())
    for module, _ in cli.COMMANDS.values():
        assert callable(import_module(module).run)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_short_help_ends_with_three_commands(command: str, appraise: Callable[..., Any]) -> None:
    lines = appraise(command, "--help").out.strip().splitlines()
    assert len(lines) < 30
    assert all(line.startswith(f"  appraise {command} ") for line in lines[-3:])
    assert not lines[-4].startswith("  ")


@pytest.mark.parametrize("arguments", ["--config video_quality/demo", "--model.help KSVQE"])
def test_commands_of_the_help_work(arguments: str, appraise: Callable[..., Any]) -> None:
    assert arguments in appraise("fit", "--help").out
    last = ["--print_config"] if "--config" in arguments else []
    done = appraise("fit", *arguments.split(), *last)
    assert done.code == 0, done.err
    assert "preset" in done.out


def test_long_help_names_every_option(appraise: Callable[..., Any]) -> None:
    done = appraise("fit", "--help-all")
    assert done.code == 0
    for option in ("--trainer.max_epochs", "--ckpt_path", "--output", "--test_after_fit", "--model.help"):
        assert option in done.out


def test_list_names_everything(appraise: Callable[..., Any]) -> None:
    out = appraise("list").out
    for name in (*lightning_modules.__all__, *datamodules.__all__, *callbacks.__all__, "video_quality/demo"):
        assert name in out
    assert "_parts/logger/wandb" in appraise("list", "parts").out
    assert "VideoQualityDataModule" not in appraise("list", "methods").out


def test_list_says_what_a_configuration_is_for_not_its_command(appraise: Callable[..., Any]) -> None:
    lines = [line.split(maxsplit=1) for line in appraise("list", "configs", "parts").out.splitlines() if "/" in line]
    about = {words[0]: words[1] for words in lines if len(words) == 2}
    assert about["face_attributes/generate_paper"].startswith("Makes faces as the paper does")
    assert about["sweeps/face_freeze"].startswith("(wandb sweep) Below which layer")
    assert not [name for name, line in about.items() if line.startswith(("python", "appraise", "wandb", "-"))]


def test_list_of_something_else(appraise: Callable[..., Any]) -> None:
    done = appraise("list", "models")
    assert done.code == 2
    assert "methods, data, callbacks, configs, parts" in done.sentence


def test_own_errors_are_one_sentence(appraise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_modules.commands import listing

    def fail(command: str, arguments: list[str]) -> int:
        raise VideoError("a.mp4: empty file; remove it")

    monkeypatch.setattr(listing, "run", fail)
    done = appraise("list")
    assert (done.code, done.err) == (1, "appraise list: a.mp4: empty file; remove it\n")
    monkeypatch.setenv("APPRAISE_DEBUG", "1")
    with pytest.raises(VideoError):
        appraise("list")


def test_error_of_a_loader_process_loses_its_traceback() -> None:
    text = "Caught VideoError in DataLoader worker process 0.\nOriginal Traceback:\n  x\nerrors.VideoError: b.mp4: bad"
    assert cli.one_sentence(VideoError(text)) == "b.mp4: bad"


@pytest.mark.parametrize("package", [lightning_modules, datamodules, callbacks])
def test_lazy_names(package: Any) -> None:
    assert set(package.PUBLIC) == set(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
        assert package.PUBLIC[name].summary
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018
