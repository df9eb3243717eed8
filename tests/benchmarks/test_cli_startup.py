"""The fast path answers at once: it is there before NumPy alone would be imported, and so is what was mistyped."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns

FAST = (["--help"], ["--version"], ["list"], ["fit", "--help"])  # that they import no torch is a test of the front door
FIT = ["fit", "--config", "inspection/segmenter"]
MISTYPED = (
    [*FIT, "--trainer.max_epoch=3"],
    [*FIT, "--ckpt_path=nowhere/last.ckpt"],
    [*FIT, "--data.init_args.root=nowhere", "--data.init_args.label_format=folder"],
)


@pytest.mark.benchmark
@pytest.mark.front
def test_startup(repository: Path, speed: Speed) -> None:
    commands = {"numpy": ["-c", "import numpy"], **{" ".join(words): ["cli.py", *words] for words in FAST}}
    run = partial(subprocess.run, cwd=repository, capture_output=True, check=True)
    taken = in_turns({name: partial(run, [sys.executable, *words]) for name, words in commands.items()})
    bare = taken.pop("numpy")
    speed.add("start", np.max([*taken.values()], axis=0) / bare, 1e3 * float(np.median(bare)), "ms")


@pytest.mark.benchmark
@pytest.mark.front
def test_early_answers(repository: Path, speed: Speed, tmp_path: Path) -> None:
    def refused(words: list[str]) -> None:
        done = subprocess.run([sys.executable, repository / "cli.py", *words], cwd=tmp_path, capture_output=True)
        assert done.returncode == 2, done.stderr

    def first_line() -> None:
        words = [sys.executable, repository / "cli.py", *FIT, "--trainer.fast_dev_run=true"]
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE) as begun:
            assert begun.stderr is not None
            assert begun.stderr.readline()
            begun.kill()

    bare = partial(subprocess.run, [sys.executable, "-c", "import numpy"], check=True)
    mistyped = {words[-1]: partial(refused, words) for words in MISTYPED}
    taken = in_turns({"numpy": bare, "first line": first_line, **mistyped})
    limit = taken.pop("numpy")
    speed.add("early", np.max([*taken.values()], axis=0) / limit, 1e3 * float(np.median(limit)), "ms")
