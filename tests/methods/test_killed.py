"""A training that is killed goes on from ``last.ckpt`` and ends as the one that nobody stopped."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.methods import process
from tests.methods.conftest import Training
from tests.methods.run_files import differences
from tests.methods.table import DETECTOR, FRAMES, METHODS, Method

PACE = 0.03  # seconds that a step takes at least, so that there is time to kill in


def steps_of(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])


def cases() -> list[Any]:
    """Every method killed at ten moments; one method at the first of them by default."""
    return [
        pytest.param(method, seed, id=f"{method.name}-{seed}", marks=[] if by_default else [pytest.mark.slow])
        for method in METHODS
        for seed in range(10)
        for by_default in [seed == 0 and method is DETECTOR]
    ]


def kill_at_random(method: Method, data: Path, run: Path, seed: int, steps: int) -> Path:
    """Kill a training at a moment of its epochs; returns its newest checkpoint, which lies before the end."""
    last = run / "checkpoints" / "last.ckpt"
    environment = {"APPRAISE_RUN": str(run), "PACE": str(PACE)}
    training = process.start([method.training(data)], run.with_name("killed.txt"), environment)
    while not last.is_file():
        assert training.is_alive(), run.with_name("killed.txt").read_text()[-3000:]
        time.sleep(0.005)
    time.sleep(random.Random(seed).uniform(0, 0.8 * steps * PACE))
    training.kill()
    training.join()
    assert training.exitcode == -9
    assert 0 < steps_of(last) < steps
    return last


@pytest.mark.parametrize(("method", "seed"), cases())
def test_a_killed_training_goes_on_in_its_folder_and_ends_the_same(
    method: Method, seed: int, data: Path, uninterrupted: Training, tmp_path: Path
) -> None:
    whole = uninterrupted(method)
    kill_at_random(method, data, tmp_path / "run", seed, steps_of(whole / "checkpoints" / "last.ckpt"))
    process.run([method.training(data)], tmp_path / "resumed.txt", {"APPRAISE_RUN": str(tmp_path / "run")})
    assert differences(whole, tmp_path / "run", exactly=True) == []


@pytest.mark.parametrize(
    "method",
    [pytest.param(method, id=method.name, marks=[] if method is FRAMES else [pytest.mark.slow]) for method in METHODS],
)
def test_a_killed_training_goes_on_in_another_folder_and_ends_the_same(
    method: Method, data: Path, uninterrupted: Training, tmp_path: Path
) -> None:
    whole = uninterrupted(method)
    last = kill_at_random(method, data, tmp_path / "run", 10, steps_of(whole / "checkpoints" / "last.ckpt"))
    words = [*method.training(data), f"--ckpt_path={last}", f"--output={tmp_path / 'another'}"]
    process.run([words], tmp_path / "resumed.txt")
    assert differences(whole, tmp_path / "another" / "version_0", exactly=True) == []
