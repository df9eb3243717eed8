"""What writes predictions as they come has in common: a folder, and a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

PartT = TypeVar("PartT")
BatchT = TypeVar("BatchT", contravariant=True)


class PredictionWriter(Callback, ABC, Generic[BatchT]):
    """A callback that writes what ``predict_step`` returns.

    Args:
        output: Folder of what is written; None takes the run's folder.
    """

    def __init__(self, output: str | None = None) -> None:
        self.output = output

    def folder(self, trainer: L.Trainer) -> Path:
        """Folder that everything goes to."""
        return Path(self.output or trainer.default_root_dir)

    @abstractmethod
    def write(self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: BatchT) -> None:
        """Write the predictions of a batch; rows that are not valid are padding, and another process has them."""

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401  # as Lightning has it
        batch: Any,  # noqa: ANN401  # as Lightning has it
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hand a batch to :meth:`write`."""
        self.write(trainer, pl_module, outputs, batch)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close what is open."""
        self.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close what is open; everything written so far stays."""
        self.close()

    def close(self) -> None:
        """Close what is open, if anything is."""


def of_all_processes(trainer: L.Trainer, part: PartT) -> list[PartT]:
    """What every process holds, in the order of their ranks; all of them call it."""
    if trainer.world_size == 1:
        return [part]
    parts = [part] * trainer.world_size
    torch.distributed.all_gather_object(parts, part)
    return parts
