"""Losses over the global batch, where each process has a part of it."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def number_of_processes() -> int:
    """Processes of the run; 1 where no group was joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(own: Tensor) -> Tensor:
    """Mean of a tensor over all processes, without gradient; every process must call it.

    Of a sum or a count, it is the divisor that makes the mean of all processes' gradients, which DDP takes, the
    gradient of the mean over the global batch.

    Example:
        >>> mean_over_processes(torch.tensor([3.0, 1.0]))
        tensor([3., 1.])
    """
    processes = number_of_processes()
    if processes == 1:
        return own.detach()
    total = own.detach().clone()
    dist.all_reduce(total)
    return total / processes


def rows_of_all_processes(own: Tensor) -> Tensor:
    """Rows of all processes one after another, for a loss over the global batch; every process must call it.

    Own rows have a gradient, as many times as there are processes, so that the mean of all processes' gradients, which
    DDP takes, is the gradient of the loss; those of others have none.

    Args:
        own: ``(N, ...)``; of one shape in every process.

    Returns:
        ``(processes * N, ...)``; ``own`` itself for one process.

    Example:
        >>> rows_of_all_processes(torch.tensor([3.0, 1.0]))
        tensor([3., 1.])
    """
    processes = number_of_processes()
    if processes == 1:
        return own
    held = own.detach().contiguous()
    parts = [torch.empty_like(held) for _ in range(processes)]
    dist.all_gather(parts, held)
    if own.requires_grad:
        parts[dist.get_rank()] = held + (own - held) * processes
    return torch.cat(parts)
