"""The optimisers that a method offers by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch

OptimizerName = Literal["adamw", "sgd"]


def named_optimizer(
    name: OptimizerName, parameters: Iterable[Any], learning_rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum, over parameters or groups of them.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> type(named_optimizer("sgd", [weight], learning_rate=0.1, momentum=0.9, weight_decay=0.0)).__name__
        'SGD'
    """
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
