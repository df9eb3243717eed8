"""Speed and memory of the perturbed top-k against the dense one-hot formulation, forward and backward."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lightning_modules.nn.perturbed_topk import perturbed_topk
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import Figures, Work, in_new_process, in_turns, least_seconds

pytestmark = [pytest.mark.benchmark, pytest.mark.video_quality]

BATCH, D, K, SAMPLES, SIGMA = 8, 81, 49, 500, 0.5


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


def works() -> dict[str, Callable[[], Tensor]]:
    return {
        "dense one-hot": forward_and_backward(lambda scores: Dense.apply(scores, K, SAMPLES, SIGMA)),
        "perturbed_topk": ours(),
        "with baseline": ours(baseline=True),
        "with antithetic pairs": ours(antithetic=True),
    }


def peak_bytes_of_arrays(run: Work, trace: Path) -> int:
    """Bound the memory alive at once during a run: the peak of all tensors plus the peak of all NumPy arrays.

    Both come from each allocation and release as it is reported. The high-water mark of the process would also hold
    what the allocator keeps from earlier, and would miss a small peak altogether.
    """
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


def times() -> dict[str, Figures]:
    """Seconds of each work."""
    return in_turns(works(), least_seconds)


def test_speed_against_the_dense_formulation(speed: Speed) -> None:
    taken = in_new_process(times)
    dense = taken.pop("dense one-hot")
    speed.add("topk", dense / np.max([*taken.values()], axis=0), 1e3 * float(np.median(dense)), "ms")


def test_memory_against_the_dense_formulation(tmp_path: Path, speed: Speed) -> None:
    peaks = in_turns(works(), lambda work: peak_bytes_of_arrays(work, tmp_path / "trace.json"))
    dense = peaks.pop("dense one-hot")
    speed.add("topk memory", dense / np.max([*peaks.values()], axis=0), float(np.median(dense)) / 1e6, "MB")
