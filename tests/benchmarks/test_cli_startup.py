"""The fast path answers at once: `--help` and `list` in under 0.5 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT = 0.5  # s, of one call, the interpreter's own start included
CALLS = 7


@pytest.mark.benchmark
@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"], ["fit", "--help"]], ids=" ".join)
def test_startup(arguments: list[str], repository: Path) -> None:
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "cli.py", *arguments], cwd=repository, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    sys.stdout.write(
        f"\n{'appraise ' + ' '.join(arguments):<24} median {median:.3f} s  best {min(seconds):.3f} s  limit {LIMIT} s\n"
    )
    assert median < LIMIT
