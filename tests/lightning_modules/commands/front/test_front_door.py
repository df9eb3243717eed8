"""The fast path: help, version, list, unknown commands; and how errors end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader, Dataset

import callbacks
import cli
import datamodules
import lightning_modules
from datamodules.common.errors import LabelError, VideoError
from lightning_modules.commands import listing
from lightning_modules.commands.front.early.words import SWITCHES, asks_for_help
from lightning_modules.commands.front.errors import one_sentence
from tests.running import Command

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


@pytest.mark.parametrize("words", [["tset"], ["help", "Tset"]], ids=" ".join)
def test_unknown_command_names_the_nearest(words: list[str], appraise: Command) -> None:
    done = appraise(*words)
    assert done.code == 2
    assert "did you mean test" in done.sentence


@pytest.mark.parametrize("word", ["", "wxyz", "--config", "-c"])
def test_a_word_that_is_near_no_command_is_named_alone(word: str, appraise: Command) -> None:
    done = appraise(word, "fit")
    assert done.code == 2
    assert f'"{word}"' in done.sentence
    assert "did you mean" not in done.sentence
    assert not {"predict", "doctor"} & set(done.sentence.split())


def test_an_option_before_the_command_is_told_its_place(appraise: Command) -> None:
    assert "stands before the command" in appraise("--config", "video_quality/demo", "fit").sentence


@pytest.mark.parametrize("way", [["help", "doctor"], ["--help", "doctor"], ["doctor", "-h"]], ids=" ".join)
def test_help_of_a_command_has_three_ways(way: list[str], appraise: Command) -> None:
    assert appraise(*way).out.startswith("usage: appraise doctor")


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        (["a.mp4", "-h"], True),
        (["--model", "KSVQE", "--help"], True),
        (["--name=value", "-h"], True),
        (["--seeds", "-1", "-h"], True),
        (["--print_config", "--help"], True),
        (["--name", "-h"], False),
        (["--name", "--help", "x"], False),
        (["--name", "--help", "--help"], True),
        (["--name=-h"], False),
        (["-c", "-h"], False),
        (["--", "-h"], False),
        (["--name", "x", "--", "--help"], False),
        ([], False),
    ],
)
def test_help_is_an_option_of_its_own(arguments: list[str], asks: bool) -> None:
    assert asks_for_help(arguments) is asks


def test_options_without_a_value_are_those_of_the_commands() -> None:
    from lightning_modules.commands.front.help_text import command_help
    from lightning_modules.commands.mentoring.ask import build_parser

    listed = [line.split() for name in cli.COMMANDS for line in command_help(name, "-").splitlines()]
    alone = {words[0] for words in listed if words and words[0] in SWITCHES}
    shown = {"--print_config", "--help-all", "--show", "--force", "--dry-run", "--offline"}
    assert alone == {*shown, "--agreement", "--tone-mapping"}
    assert build_parser().parse_args(["--store", "x", "--agreement"]).agreement


def test_a_value_that_looks_like_help_reaches_its_command(appraise: Command) -> None:
    done = appraise("fit", "--config", "--help")
    assert done.code == 2
    assert 'no configuration "--help"' in done.sentence


def test_table_matches_lightning(toy: object) -> None:
    from lightning_modules.commands.front.lightning_cli import AppraiseCLI

    served = {name for name, (module, _) in cli.COMMANDS.items() if module.endswith("commands.trainer")}
    assert served == set(AppraiseCLI.subcommands())
    for module, _ in cli.COMMANDS.values():
        assert callable(import_module(module).run)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_short_help_ends_with_three_commands(command: str, appraise: Command) -> None:
    lines = appraise(command, "--help").out.strip().splitlines()
    assert len(lines) < 30
    assert all(line.startswith(f"  appraise {command} ") for line in lines[-3:])
    assert not lines[-4].startswith("  ")


@pytest.mark.parametrize("arguments", ["--config video_quality/demo", "--model.help KSVQE"])
def test_commands_of_the_help_work(arguments: str, appraise: Command) -> None:
    assert arguments in appraise("fit", "--help").out
    last = ["--print_config"] if "--config" in arguments else []
    done = appraise("fit", *arguments.split(), *last)
    assert done.code == 0, done.err
    assert "preset" in done.out


def test_long_help_names_every_option(appraise: Command) -> None:
    done = appraise("fit", "--help-all")
    assert done.code == 0
    for option in ("--trainer.max_epochs", "--ckpt_path", "--output", "--test_after_fit", "--model.help"):
        assert option in done.out


def test_list_names_everything(appraise: Command) -> None:
    out = appraise("list").out
    for name in (*lightning_modules.__all__, *datamodules.__all__, *callbacks.__all__, "video_quality/demo"):
        assert name in out
    assert "_parts/logger/wandb" in appraise("list", "parts").out
    assert "VideoQualityDataModule" not in appraise("list", "methods").out


def test_list_says_what_a_configuration_is_for_not_its_command(appraise: Command) -> None:
    lines = [line.split(maxsplit=1) for line in appraise("list", "configs", "parts").out.splitlines() if "/" in line]
    about = {words[0]: words[1] for words in lines if len(words) == 2}
    assert about["face_attributes/generate_paper"].startswith("Makes faces as the paper does")
    assert about["sweeps/face_freeze"].startswith("(sweep) Below which layer")
    assert not [name for name, line in about.items() if line.startswith(("python", "appraise", "wandb", "-"))]


def test_list_of_something_else(appraise: Command) -> None:
    done = appraise("list", "models")
    assert done.code == 2
    assert "methods, data, callbacks, configs, parts" in done.sentence


def raises(error: BaseException) -> Callable[..., int]:
    """A command that ends with an error."""

    def run(command: str, arguments: list[str]) -> int:
        raise error

    return run


def test_own_errors_are_one_sentence(appraise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "run", raises(VideoError("a.mp4: empty file; remove it")))
    done = appraise("list")
    assert (done.code, done.err) == (1, "appraise list: a.mp4: empty file; remove it\n")
    monkeypatch.setenv("APPRAISE_DEBUG", "1")
    with pytest.raises(VideoError):
        appraise("list")


@pytest.mark.parametrize(
    ("code", "expected", "err"),
    [("b.mp4 is missing", 1, "appraise list: b.mp4 is missing\n"), (None, 0, ""), (0, 0, ""), (3, 3, "")],
)
def test_leaving_by_system_exit(
    code: str | int | None, expected: int, err: str, appraise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "run", raises(SystemExit(code)))
    done = appraise("list")
    assert (done.code, done.err) == (expected, err)


class Broken(Dataset[int]):
    """Raises on its one item."""

    def __init__(self, message: str | None) -> None:
        self.message = message

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise LabelError(*([] if self.message is None else [self.message])) from error


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("b.mp4: bad", "b.mp4: bad"),
        ("b.mp4: bad\nframe: 3\n\n  missing", "b.mp4: bad\nframe: 3\n\n  missing"),
        (None, "LabelError without a message: APPRAISE_DEBUG=1 shows where it arose"),
    ],
    ids=["one line", "lines", "none"],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_error_of_a_loader_process_loses_its_traceback(workers: int, message: str | None, sentence: str) -> None:
    with pytest.raises(LabelError) as caught:
        list(DataLoader(Broken(message), num_workers=workers))
    assert one_sentence(caught.value) == sentence


def test_error_of_a_video_is_one_line_whatever_its_name() -> None:
    assert one_sentence(VideoError("a\nb.mp4: bad")) == "a\\nb.mp4: bad"


def test_error_of_a_worker_with_no_known_traceback_keeps_its_first_line() -> None:
    assert one_sentence(VideoError("Caught VideoError in worker 0.\n  | a tree of errors")) == (
        "Caught VideoError in worker 0."
    )


ANSWERS = ("", "--help", "--version", "list", "fit --help", "help doctor")


def in_shell(line: str, repository: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash where ``appraise`` is the front door's file."""
    door = f'appraise() {{ "{sys.executable}" "{repository / "cli.py"}" "$@"; }}; set -o pipefail; {line}'
    return subprocess.run(
        ["bash", "-c", door], cwd=repository, capture_output=True, check=False, env={**os.environ, **environment}
    )


NO_DEVICE = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
FULL = b"appraise: No space left on device: make room, or write elsewhere\n"
CLOSED = b"appraise: the standard output is closed: send it to a file or to /dev/null\n"


@pytest.mark.parametrize("arguments", ANSWERS)
@pytest.mark.parametrize(
    ("place", "code", "said"),
    [("| true", 0, b""), pytest.param("> /dev/full", 1, FULL, marks=NO_DEVICE), (">&-", 1, CLOSED)],
    ids=["reader left", "full", "closed"],
)
def test_output_that_takes_nothing_is_one_sentence_or_none(
    place: str, code: int, said: bytes, arguments: str, repository: Path
) -> None:
    done = in_shell(f"appraise {arguments} {place}", repository, PYTHONUNBUFFERED="1" if code == 0 else "")
    assert (done.returncode, done.stderr) == (code, said)


@NO_DEVICE
def test_the_long_help_of_a_parser_is_not_lost_in_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.main(["fit", "--help-all"]) == 1
    assert capsys.readouterr().err.encode() == FULL


@pytest.mark.parametrize("place", ["2>&-", "2>/dev/full"])
def test_exit_code_stays_where_no_sentence_can_be_written(place: str, repository: Path) -> None:
    assert in_shell(f"appraise wxyz {place}", repository).returncode == 2


def test_results_that_cannot_be_written_come_without_a_traceback(repository: Path) -> None:
    code = (
        "import logging; from lightning_modules.commands.front import console; console.set_up_console();"
        "[logging.getLogger(console.RESULTS).info(line) for line in range(3)]; import os; os._exit(0)"
    )
    command = f"\"{sys.executable}\" -c '{code}'"
    assert in_shell(f"{command} | true", repository).stderr == b""
    assert in_shell(command, repository).stdout == b"0\n1\n2\n"


def test_broken_pipe_inside_a_command_is_no_success(repository: Path) -> None:
    code = (
        "import sys, cli; from lightning_modules.commands import listing\n"
        "def run(command, arguments): raise BrokenPipeError(32, 'Broken pipe')\n"
        "listing.run = run; sys.exit(cli.main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"BrokenPipeError" in done.stderr


@pytest.mark.parametrize("line", [r"$'\xff'", r"list $'\xff'", r"fit --config $'a\xff.yaml'"])
def test_words_that_are_no_text_are_one_sentence(line: str, repository: Path) -> None:
    done = in_shell(f"appraise {line}", repository, PYTHONUTF8="1")
    assert done.returncode == 2
    assert re.fullmatch(rb'appraise: "a?\\udcff(\.yaml)?" is no valid UTF-8: .*\n', done.stderr)


def test_letters_beyond_the_terminal_are_written_otherwise(repository: Path) -> None:
    assert in_shell("appraise list", repository, PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.parametrize("package", [lightning_modules, datamodules, callbacks])
def test_lazy_names(package: Any) -> None:
    assert set(package.PUBLIC) == set(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
        assert package.PUBLIC[name].summary
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018
