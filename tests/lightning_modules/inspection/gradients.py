"""Gradients of a method's whole sum of losses, of one process or of two that share a batch, as DDP averages them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_modules.inspection.detector.module import MentoringDetector
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from tests.inspection_batches import random_batch
from tests.lightning_modules.inspection.detector.test_module import made_batch

OPTIONS: dict[str, dict[str, Any]] = {
    "fixes": {"domain_weight": 0.5, "omnia_epsilon": 0.01, "healthy_knowledge": True},
    "split": {"area_average": "split", "omnia_epsilon": 0.01, "mask_unit": "area_class", "positive_weight": 2.0},
    "distillation": {"distillation_weight": 0.5},
}
PRECISIONS = ("float32", "bf16")
Method = MentoringSegmenter | MentoringDetector


class Step(nn.Module):
    """The sum of losses as a forward pass, so that DDP sees it."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Any) -> Tensor:
        return self.method.losses(batch, 0.7)["loss"]


def segmenter(**options: Any) -> MentoringSegmenter:
    torch.manual_seed(0)
    built = MentoringSegmenter(["a", "b"], backbone="small", width=4, **options)
    return built.eval()  # norm layers take their running statistics, whatever the process sees


def detector() -> MentoringDetector:
    torch.manual_seed(0)
    built = MentoringDetector(
        ["a", "b"], backbone="small", width=4, anchors=[[10.0, 10.0], [22.0, 12.0]], domain_weight=0.5,
        omnia_epsilon=0.01, area_average="split", reject_class=True, box_weight=1.0, class_weight=1.0,
    )  # fmt: skip
    return built.eval()


def made(name: str) -> tuple[Method, Any]:
    """The detector, or the segmenter of some options, and a batch."""
    return (detector(), made_batch(5)) if name == "detector" else (segmenter(**OPTIONS[name]), random_batch(8, 64))


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


def save_those_of_two(rank: int, folder: Path) -> None:
    """What one of two processes does; the first writes the gradients of all options and precisions."""
    found: dict[str, dict[str, Tensor]] = {}
    for name in (*OPTIONS, "detector"):
        for bits in PRECISIONS:
            method, batch = made(name)
            wrapped = DistributedDataParallel(Step(method))  # must outlive the backward pass
            with precision(bits):
                loss = wrapped(rows_of(batch, rank, dist.get_world_size()))
            loss.backward()
            found[f"{name} {bits}"] = gradients(method)
    if rank == 0:
        torch.save(found, folder / "gradients.pt")
