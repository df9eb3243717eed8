"""How many faces a core draws in a second."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.rendering import render
from tests.running import threads


@pytest.mark.benchmark
@threads(1)
def test_a_core_draws_a_thousand_faces_a_second() -> None:
    best = 0.0
    for _ in range(4):
        start = time.process_time()  # of this process alone, whatever else runs
        render(draw_parameters(100, "train", torch.arange(960)), 64)
        best = max(best, 960 / (time.process_time() - start))
    sys.stdout.write(f"\nfaces of 64 pixels a second and core: {best:.0f}\n")
    assert best > 1000
