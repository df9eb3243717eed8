"""The gradients of the first step, with batch statistics that stay as they are and regions without noise."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch

from lightning_modules.nn.perturbed_topk import PerturbedTopK

FILE = "gradients.pt"


class FirstGradients(L.Callback):
    """Writes the gradients of the first step, as DDP has averaged them."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, index: int) -> None:
        for module in pl_module.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | PerturbedTopK):
                module.eval()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        found = {name: one.grad for name, one in pl_module.named_parameters() if one.grad is not None}
        folder = Path(trainer.default_root_dir)
        if trainer.is_global_zero:
            torch.save(found, folder / FILE)
