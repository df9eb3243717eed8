"""Optimisers by name: what of the settings each takes."""

from __future__ import annotations

import torch

from lightning_modules.nn.optimizers import named_optimizer


def test_each_takes_its_settings_and_groups_keep_their_own() -> None:
    weight, bias = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    plain = named_optimizer("sgd", [weight, bias], 0.1, 0.9, 0.01)
    assert isinstance(plain, torch.optim.SGD)
    assert [(group["lr"], group["momentum"], group["weight_decay"]) for group in plain.param_groups] == [
        (0.1, 0.9, 0.01)
    ]
    groups = named_optimizer("adamw", [{"params": [weight], "lr": 0.5}, {"params": [bias]}], 0.1, 0.9, 0.0)
    assert isinstance(groups, torch.optim.AdamW)
    assert [(group["lr"], group["weight_decay"]) for group in groups.param_groups] == [(0.5, 0.0), (0.1, 0.0)]
