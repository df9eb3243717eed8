"""The whole KSVQE network, preset `official`, one clip of 32 frames on the CPU, against matrix products."""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_modules.video_quality.network import KSVQENetwork
from lightning_modules.video_quality.presets import resolve_preset
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import PAIRS, in_new_process, in_turns, peak_bytes

pytestmark = [pytest.mark.benchmark, pytest.mark.video_quality]

TOTAL = 340.0  # GFLOP of backbone, distortion and content; modulation, selection and head are not counted
SIDE = 4096
STAGE = (1, 16, 72, 72, 96)  # features of the first stage


def official() -> KSVQENetwork:
    torch.manual_seed(0)
    return KSVQENetwork(resolve_preset("official")).eval()


def clip() -> tuple[Tensor, Tensor]:
    return torch.randn(1, 3, 32, 288, 288), torch.randn(1, 4, 3, 112, 112)


@torch.no_grad()
def peaks() -> tuple[int, int]:
    """Bytes that two passes of the network take above the loaded model, and those of a bare MLP."""
    network, given, features = official(), clip(), torch.randn(STAGE)
    width = STAGE[-1]
    mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
    bare = peak_bytes(lambda: features + mlp(features))
    return peak_bytes(lambda: [network(*given), network(*given)]), bare


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux alone tells peaks of memory")
def test_memory_above_the_loaded_model(speed: Speed) -> None:
    whole, bare = np.array([in_new_process(peaks) for _ in range(PAIRS)], dtype=np.float64).T
    speed.add("network memory", whole / bare, float(np.median(bare)) / 1e6, "MB")


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere one pass takes minutes."""
    return any(bool(value) for name, value in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@torch.no_grad()
def test_speed_against_matrix_products(dtype: torch.dtype, speed: Speed) -> None:
    if dtype is torch.bfloat16 and not has_bfloat16():
        pytest.skip("this processor has no arithmetic of bfloat16")
    network, given, square = official(), clip(), torch.randn(SIDE, SIDE, dtype=dtype)
    with torch.autocast("cpu", dtype) if dtype is torch.bfloat16 else nullcontext():
        taken = in_turns({"matmul": lambda: square @ square, "network": lambda: network(*given)})
    limit = 2e-9 * SIDE**3 / taken["matmul"]
    name = "network" if dtype is torch.float32 else "network bf16"
    speed.add(name, TOTAL / taken["network"] / limit, float(np.median(limit)), "GFLOP/s")
