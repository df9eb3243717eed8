"""Resizing by NumPy gives torch's bytes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.video import numpy_resizing, resizing


@settings(max_examples=40)
@given(
    st.integers(2, 300), st.integers(2, 300), st.floats(1.0, 4.0), st.floats(1.0, 4.0), st.integers(4, 128),
    st.integers(0, 99),
)  # fmt: skip
def test_to_the_last_bit(height: int, width: int, up: float, wide: float, size: int, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    larger = int(width * wide), int(height * up)
    enlarged = [module.enlarge(frames, *larger).astype(np.int64) for module in (numpy_resizing, resizing)]
    shrunk = [module.resize_whole(frames, size).astype(np.int64) for module in (numpy_resizing, resizing)]
    for ours, theirs in (enlarged, shrunk):
        if torch.backends.cpu.get_cpu_capability().startswith("AVX"):
            assert np.array_equal(ours, theirs)
        else:  # torch may round elsewhere
            assert np.abs(ours - theirs).max() <= 1
