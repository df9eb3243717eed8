"""What the tests of all methods share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.running import quiet_trainer

BATCHES = 4  # of an epoch, two a step


class _Losses(L.Callback):
    """Keeps the loss of each micro-batch; saves a checkpoint in the middle of the second epoch."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.seen: list[float] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append(float(outputs["loss"]))
        if len(self.seen) == BATCHES + 2 and not self.checkpoint.exists():
            trainer.save_checkpoint(self.checkpoint)


@pytest.fixture
def check_noise(tmp_path: Path) -> Callable[..., None]:
    """Checks that each micro-batch of a step draws its own noise, and draws it again after a resume inside an epoch."""

    def fit(module: L.LightningModule, data: Any, checkpoint: str | None = None) -> list[float]:
        losses = _Losses(tmp_path / "middle.ckpt")
        run = quiet_trainer(
            tmp_path, losses, max_epochs=2, accumulate_grad_batches=2, limit_train_batches=BATCHES, limit_val_batches=0
        )
        run.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        return losses.seen

    def check(build: Callable[..., L.LightningModule], data: Any) -> None:
        """``build`` makes the method with an optimiser; ``data`` gives the same batch again and again."""

        def still() -> L.LightningModule:
            return build(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0))

        whole = fit(still(), data)
        assert len(set(whole)) == 2 * BATCHES
        assert fit(still(), data, str(tmp_path / "middle.ckpt")) == whole[BATCHES + 2 :]

    return check
