"""One of two processes that share a batch: the detector's gradients as DDP averages them."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_modules.inspection.detector.module import MentoringDetector


def beside(name: str) -> Any:
    """A module of the detector's tests, found by its path."""
    path = Path(__file__).parents[1] / "detector" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"detector_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Step(nn.Module):
    """The sum of losses as a forward pass, so that DDP sees it."""

    def __init__(self, method: MentoringDetector) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Any) -> Tensor:
        return self.method.losses(batch, 0.7)["loss"]


def method() -> MentoringDetector:
    torch.manual_seed(0)
    built = MentoringDetector(
        ["a", "b"], backbone="small", width=4, anchors=[[10.0, 10.0], [22.0, 12.0]], domain_weight=0.5,
        omnia_epsilon=0.01, area_average="split", reject_class=True, box_weight=1.0, class_weight=1.0,
    )  # fmt: skip
    return built.eval()  # norm layers take their running statistics, whatever the process sees


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def main(output: str) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    dist.init_process_group("gloo")
    batch = beside("test_module").made_batch(5)
    # The first process has only labelled rows, the second only answered ones.
    part = {name: value[4 * rank : 4 * rank + 4] for name, value in batch.items()}
    step = Step(method())
    wrapped = DistributedDataParallel(step)  # must outlive the backward pass
    wrapped(part).backward()
    if rank == 0:
        torch.save(gradients(step.method), output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
