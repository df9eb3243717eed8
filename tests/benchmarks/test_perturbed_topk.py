"""Speed and memory of the perturbed top-k against the dense one-hot formulation, forward and backward."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lightning_modules.nn.perturbed_topk import perturbed_topk

BATCH, D, K, SAMPLES, SIGMA = 8, 81, 49, 500, 0.5
FLOOR = 15.0
TURNS = 15
SLICE = 0.15  # seconds of each contender per turn


class Dense(torch.autograd.Function):
    """The usual formulation with the full gradient: one-hot samples, saved from the forward pass."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, k: int, samples: int, sigma: float) -> Tensor:
        noise = torch.randn(len(scores), samples, scores.shape[-1])
        chosen = torch.topk(scores[:, None] + sigma * noise, k, sorted=False).indices.sort(dim=-1).values
        hot = F.one_hot(chosen, scores.shape[-1]).float()
        ctx.save_for_backward(hot, noise)
        ctx.sigma = sigma
        return hot.mean(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        hot, noise = ctx.saved_tensors
        products = torch.einsum("bskd,bkd->bs", hot, grad)
        return torch.einsum("bs,bsd->bd", products, noise) / (hot.shape[1] * ctx.sigma), None, None, None


def forward_and_backward(operator: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    source = torch.Generator().manual_seed(0)
    scores = torch.rand(BATCH, D, generator=source, requires_grad=True)
    grad = torch.randn(BATCH, K, D, generator=source)
    return lambda: torch.autograd.grad(operator(scores), scores, grad)[0]


def ours(**options: bool) -> Callable[[], Tensor]:
    return forward_and_backward(lambda scores: perturbed_topk(scores, K, num_samples=SAMPLES, sigma=SIGMA, **options))


CONTENDERS = {
    "dense one-hot": forward_and_backward(lambda scores: Dense.apply(scores, K, SAMPLES, SIGMA)),
    "perturbed_topk": ours(),
    "with baseline": ours(baseline=True),
    "with antithetic pairs": ours(antithetic=True),
}


def best_seconds(runs: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Best of all runs in equal slices of time, taken in turn, so that a busy spell of the machine meets all alike."""
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()
    for _ in range(TURNS):
        for name, run in runs.items():
            end = time.perf_counter() + SLICE
            while (start := time.perf_counter()) < end:
                run()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak_bytes(run: Callable[[], Tensor], trace: Path) -> int:
    """Bound the memory alive at once during a run: the peak of all tensors plus the peak of all NumPy arrays.

    Both come from each allocation and release as it is reported. The high-water mark of the process would also hold
    what the allocator keeps from earlier, and would miss a small peak altogether.
    """
    run()
    tracemalloc.start()
    run()
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    profiler.export_chrome_trace(str(trace))
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["name"] == "[memory]"]
    live = tensors = 0
    for event in sorted(events, key=lambda event: float(event["ts"])):
        live += event["args"]["Bytes"]
        tensors = max(tensors, live)
    assert tensors > 0, "the profiler reported no memory"
    return tensors + arrays


@pytest.mark.benchmark
def test_speed_and_memory_against_the_dense_formulation(tmp_path: Path) -> None:
    seconds = best_seconds(CONTENDERS)
    peaks = {name: peak_bytes(run, tmp_path / "trace.json") for name, run in CONTENDERS.items()}
    reference = next(iter(CONTENDERS))
    lines = [
        f"batch {BATCH}, d {D}, k {K}, {SAMPLES} samples, forward + backward, {torch.get_num_threads()} threads",
        f"{'':24}{'ms':>9}{'times':>8}{'peak MB':>10}{'times':>8}",
    ]
    speed = {name: seconds[reference] / seconds[name] for name in CONTENDERS}
    memory = {name: peaks[reference] / peaks[name] for name in CONTENDERS}
    for name in CONTENDERS:
        lines.append(
            f"{name:24}{seconds[name] * 1e3:9.2f}{speed[name]:8.1f}{peaks[name] / 1e6:10.2f}{memory[name]:8.1f}"
        )
    print("\n" + "\n".join(lines))  # noqa: T201
    for name in list(CONTENDERS)[1:]:
        assert speed[name] >= FLOOR, f"{name} is only {speed[name]:.1f} times faster than the dense formulation"
        assert memory[name] >= FLOOR, f"{name} takes only {memory[name]:.1f} times less memory than the dense one"
