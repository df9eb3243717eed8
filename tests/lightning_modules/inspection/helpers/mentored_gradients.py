"""One of several processes that share a batch: gradients of the whole sum of losses, as DDP averages them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_modules.inspection.segmenter.module import MentoringSegmenter


def made_batches() -> Any:  # a module that is found by its path
    spec = importlib.util.spec_from_file_location("made_batches", Path(__file__).parents[1] / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OPTIONS: dict[str, dict[str, Any]] = {
    "fixes": {"domain_weight": 0.5, "omnia_epsilon": 0.01, "healthy_knowledge": True},
    "split": {"area_average": "split", "omnia_epsilon": 0.01, "mask_unit": "area_class", "positive_weight": 2.0},
    "distillation": {"distillation_weight": 0.5},
}
PRECISIONS = ("float32", "bf16")


class Step(nn.Module):
    """The sum of losses as a forward pass, so that DDP sees it."""

    def __init__(self, method: MentoringSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Any) -> Tensor:
        return self.method.losses(batch, 0.7)["loss"]


def method(**options: Any) -> MentoringSegmenter:
    torch.manual_seed(0)
    built = MentoringSegmenter(["a", "b"], backbone="small", width=4, **options)
    return built.eval()  # norm layers take their running statistics, whatever the process sees


def rows_of(batch: Any, rank: int, processes: int) -> Any:
    """Rows of a process: neighbours, so that one has many answers and another few."""
    size = len(batch["image"]) // processes
    part = slice(rank * size, (rank + 1) * size)
    return {name: value[part] for name, value in batch.items()}


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def precision(name: str) -> Any:
    """Context of mixed precision, or of none."""
    return torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16")


def main(output: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    batch = made_batches().random_batch(8, 64)
    found: dict[str, dict[str, Tensor]] = {}
    for name, options in OPTIONS.items():
        for bits in PRECISIONS:
            step = Step(method(**options))
            wrapped = DistributedDataParallel(step)
            with precision(bits):
                loss = wrapped(rows_of(batch, dist.get_rank(), dist.get_world_size()))
            loss.backward()
            found[f"{name} {bits}"] = gradients(step.method)
    if dist.get_rank() == 0:
        torch.save(found, output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
