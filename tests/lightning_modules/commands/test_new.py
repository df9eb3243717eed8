"""The templates work as they are: written, tested, trained, and tested from their run."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from lightning_modules.commands.new.write import module_of
from tests.forks import forks
from tests.running import REPOSITORY, Command

TEMPLATES = REPOSITORY / "lightning_modules/commands/new"


def test_the_templates_pass_their_own_tests(tmp_path: Path) -> None:
    files = [tmp_path / f"test_{kind}.py" for kind in ("method", "data")]
    for file in files:
        file.write_text((TEMPLATES / f"check_{file.stem.removeprefix('test_')}.py").read_text())
    words = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", *map(str, files)]
    tested = forks().Process(target=run_tests, args=(words, tmp_path / "said.txt"))
    tested.start()
    tested.join()
    said = (tmp_path / "said.txt").read_text()
    assert tested.exitcode == 0, said
    assert "3 passed" in said


def run_tests(words: list[str], said: Path) -> None:
    """As a user's own pytest would, in a process of its own."""
    os.chdir(REPOSITORY)
    with said.open("w") as stream, redirect_stdout(stream):
        code = pytest.main(words)
    sys.exit(code)


def test_a_new_method_trains_and_is_tested_from_its_run(appraise: Command, workdir: Path) -> None:
    written = appraise("new", "method", "NewFinder")
    assert written.code == 0, written.err
    files = {"new_finder.py", "new_finder.yaml", "new_finder_data.py", "test_new_finder.py", "test_new_finder_data.py"}
    assert {path.name for path in workdir.iterdir()} == {"toy.yaml", *files}
    following = [line.removeprefix("next: ") for line in written.out.splitlines() if line.startswith("next: ")]
    assert following[1] == "python -m pytest test_new_finder.py test_new_finder_data.py"
    trained = appraise(*following[0].split()[1:], "--trainer.accelerator", "cpu", "--trainer.max_epochs", "1")
    assert trained.code == 0, trained.err
    tested = appraise(*trained.out.splitlines()[-1].removeprefix("next: ").split()[1:])
    assert tested.code == 0, tested.err
    assert "test/accuracy" in tested.out
    again = appraise("new", "method", "NewFinder")
    assert "new_finder.py is there already and is left alone" in again.sentence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scratch", "can be no class"),
        ("A-b", "can be no class"),
        ("KSVQE", "of appraise"),
        ("Json", "of Python"),
        ("Torch", "package"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, expected: str, appraise: Command, workdir: Path) -> None:
    assert expected in appraise("new", "data", name).sentence
    assert [path.name for path in workdir.iterdir()] == ["toy.yaml"]


def test_the_file_is_named_after_the_class() -> None:
    assert module_of("HDRVideoData2") == "hdr_video_data2"
