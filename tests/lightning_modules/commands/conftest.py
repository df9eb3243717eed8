"""Run the command line in this process, on the smallest method and data module, in an empty folder."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

collect_ignore = ["helpers"]  # collected for doctests, its classes would exist twice, and bare names be ambiguous
HELPERS = Path(__file__).parent / "helpers"

CONFIG = """
model:
  class_path: ToyModel
  init_args:
    width: 6
data:
  class_path: ToyData
trainer:
  accelerator: cpu
  max_epochs: 1
  logger: false
"""


class Result(NamedTuple):
    """What a command gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line of an error, without the lines that name the configuration files."""
        lines = [line for line in self.err.strip().splitlines() if not line.startswith("config ")]
        assert len(lines) == 1, self.err
        return lines[0]


Command = Callable[..., Result]


@pytest.fixture(scope="session")
def toy() -> Iterator[ModuleType]:
    """The module of the toy classes, importable by its bare name as a user's own package would be."""
    sys.path.insert(0, str(HELPERS))
    import toy_parts

    yield toy_parts
    sys.path.remove(str(HELPERS))


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with toy.yaml in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("APPRAISE_DEBUG", "APPRAISE_RUN_FOLDER", "SLURM_JOB_ID", "LOCAL_RANK", "PL_GLOBAL_SEED"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "toy.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.fixture
def appraise(
    toy: ModuleType, workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `appraise ARGUMENTS` and return what it gave."""
    from cli import main

    monkeypatch.setattr(sys, "argv", ["appraise"])

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        with warnings.catch_warnings():
            code = main(list(arguments))
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def checkpoint(appraise: Command, workdir: Path) -> Path:
    """A checkpoint of the toy model with width 6, written by `fit`."""
    assert appraise("fit", "--config", "toy.yaml").code == 0
    found = sorted((workdir / "runs/toy/version_0/checkpoints").glob("*.ckpt"))
    assert len(found) == 1
    return found[0]
