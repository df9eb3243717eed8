"""The whole KSVQE network, preset `official`, one clip of 32 frames on the CPU, against matrix products."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.video_quality.network import KSVQENetwork
from lightning_modules.video_quality.presets import resolve_preset
from tests.benchmarks.measuring import seconds

GFLOP = {"backbone": 176.0, "distortion": 132.0, "content": 34.0}
TOTAL = 340.0  # as the three are counted together; modulation, selection and head are not
FLOOR = 0.55
AIM = 0.7
PEAK_BYTES = 1.5e9
SIDE = 4096
TURNS = 5


@pytest.fixture(scope="module")
def network() -> KSVQENetwork:
    torch.manual_seed(0)
    return KSVQENetwork(resolve_preset("official")).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor]:
    return torch.randn(1, 3, 32, 288, 288), torch.randn(1, 4, 3, 112, 112)


def parts_of(network: KSVQENetwork) -> dict[str, nn.Module]:
    assert network.content is not None
    assert network.distortion is not None
    stages = {f"backbone, stage {number}": stage for number, stage in enumerate(network.backbone.stages)}
    modulations = {f"modulation {number}": module for number, module in enumerate(network.modulation)}
    return {
        "content": network.content,
        "selection": network.selection,
        "distortion": network.distortion,
        "backbone, patches": network.backbone.patch_embed,
        **stages,
        **modulations,
        "head": network.head,
    }


@contextmanager
def clocks(parts: dict[str, nn.Module]) -> Iterator[dict[str, float]]:
    """Best seconds of each part over the forward passes made inside."""
    best: dict[str, float] = {}
    started: dict[str, float] = {}
    handles = []
    for name, module in parts.items():

        def begin(_: nn.Module, __: object, name: str = name) -> None:
            started[name] = time.perf_counter()

        def end(_: nn.Module, __: object, ___: object, name: str = name) -> None:
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - started[name])

        handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    yield best
    for handle in handles:
        handle.remove()


def status_bytes(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


@pytest.mark.benchmark
@torch.no_grad()
def test_memory_above_the_loaded_model(network: KSVQENetwork, clip: tuple[Tensor, Tensor]) -> None:
    # First in this file: memory that an earlier test has freed would hide what the network takes.
    switch = Path("/proc/self/clear_refs")
    if not os.access(switch, os.W_OK):
        pytest.skip("the high-water mark of memory can be set back on Linux only")
    switch.write_text("5")
    before = status_bytes("VmRSS:")
    for _ in range(2):
        network(*clip)
    peak = status_bytes("VmHWM:") - before
    print(f"\npeak memory above the loaded model: {peak / 1e6:.0f} MB")  # noqa: T201
    assert peak <= PEAK_BYTES


@pytest.mark.benchmark
@torch.no_grad()
def test_speed_against_matrix_products(network: KSVQENetwork, clip: tuple[Tensor, Tensor]) -> None:
    best: dict[str, float] = {}
    tables: dict[str, dict[str, float]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        square = torch.randn(SIDE, SIDE, dtype=dtype)
        autocast = torch.autocast("cpu", dtype) if dtype is torch.bfloat16 else nullcontext()
        runs: dict[str, Callable[[], object]] = {
            f"matmul {name}": lambda square=square: square @ square,
            f"network {name}": lambda: network(*clip),
        }
        with autocast, clocks(parts_of(network)) as parts:
            for run in runs.values():
                run()
            parts.clear()
            for _ in range(TURNS):  # in turn, so that a busy spell of the machine meets both
                for key, run in runs.items():
                    best[key] = min(best.get(key, float("inf")), seconds(run))
        tables[name] = dict(parts)
    ratios = {name: _report(name, best, parts) for name, parts in tables.items()}
    assert ratios["float32"] >= FLOOR, f"{ratios['float32']:.2f} of the matrix-multiply rate; floor {FLOOR}, aim {AIM}"


def _report(name: str, best: dict[str, float], parts: dict[str, float]) -> float:
    """Print the profile of one dtype; returns the network's rate as part of the rate of matrix products."""
    rate = 2e-9 * SIDE**3 / best[f"matmul {name}"]
    whole = best[f"network {name}"]
    backbone = sum(value for key, value in parts.items() if key.startswith("backbone"))
    lines = [
        f"{name}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}: matrix products {rate:.0f} GFLOP/s",
        f"{'':20}{'ms':>8}{'share':>8}{'of rate':>9}",
    ]
    for key, value in [*parts.items(), ("backbone", backbone), ("network", whole)]:
        gflop = TOTAL if key == "network" else GFLOP.get(key, 0.0)
        share = f"{gflop / value / rate:9.2f}" if gflop else ""
        lines.append(f"{key:20}{1e3 * value:8.1f}{value / whole:8.2f}{share}")
    print("\n" + "\n".join(lines))  # noqa: T201
    return TOTAL / whole / rate
