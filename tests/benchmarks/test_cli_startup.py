"""The fast path answers at once: it is there before NumPy alone would be imported."""

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


@pytest.mark.benchmark
@pytest.mark.front
def test_startup(repository: Path, speed: Speed) -> None:
    commands = {"numpy": ["-c", "import numpy"], **{" ".join(words): ["cli.py", *words] for words in FAST}}
    run = partial(subprocess.run, cwd=repository, capture_output=True, check=True)
    taken = in_turns({name: partial(run, [sys.executable, *words]) for name, words in commands.items()})
    bare = taken.pop("numpy")
    speed.add("start", np.max([*taken.values()], axis=0) / bare, 1e3 * float(np.median(bare)), "ms")
