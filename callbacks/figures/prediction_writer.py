"""What writes predictions as they come has in common: a folder, and a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import ImageError
from datamodules.tables.csv import csv_text

PartT = TypeVar("PartT")
BatchT = TypeVar("BatchT", contravariant=True)


class PredictionWriter(Callback, ABC, Generic[BatchT]):
    """A callback that writes what ``predict_step`` returns.

    Args:
        output: Folder of what is written; None takes the run's folder.
    """

    def __init__(self, output: str | None = None) -> None:
        self.output = output
        self.unreadable: dict[str, str] = {}

    def take_unreadable(self, files: Sequence[str], batch: Mapping[str, Any]) -> None:
        """Keep why files of a batch could not be read; see :meth:`report_unreadable`."""
        errors = batch.get("error") or ()
        self.unreadable |= {file: error for file, error in zip(files, errors, strict=False) if error}

    def report_unreadable(self, trainer: L.Trainer, folder: Path, done: int, what: str) -> str:
        """Write ``unreadable.csv`` (file and reason) where files could not be read; all processes call it.

        Args:
            trainer: The run.
            folder: Where the list goes.
            done: Files of this process that were read.
            what: What they are, in plural.

        Returns:
            ", 2 not readable" for the last line of a run; empty where all could be read.

        Raises:
            ImageError: If not one file could be read.
        """
        own = (self.unreadable, done)
        parts = of_all_processes(trainer, own) if torch.distributed.is_initialized() else [own]
        failed = {file: error for part, _ in parts for file, error in part.items()}
        list_of_them = folder / "unreadable.csv"
        if trainer.is_global_zero:
            list_of_them.unlink(missing_ok=True)  # of an earlier run
        if not failed:
            return ""
        if trainer.is_global_zero:
            write_text(list_of_them, csv_text(("file", "error"), sorted(failed.items())))
        if not sum(count for _, count in parts):
            raise ImageError(f"not one of the {len(failed)} {what} could be read, the first: {min(failed.items())[1]}")
        return f", {len(failed)} not readable"

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
