"""Gather per-sample results of a test run over batches and processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor


class TakesTestBatches(Callback, ABC):
    """A callback that looks at every batch of a test."""

    @abstractmethod
    def take(self, module: L.LightningModule, outputs: STEP_OUTPUT, batch: Any) -> None:  # noqa: ANN401  # as Lightning
        """Look at what the test step returned for a batch."""

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,  # noqa: ANN401  # as Lightning has it
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hand a batch to :meth:`take`."""
        self.take(pl_module, outputs, batch)


class CollectTestResults(TakesTestBatches):
    """Collect what :meth:`columns` picks from each test batch and hand the whole to :meth:`finish`.

    Rows whose ``valid`` is False (padding of the sampler, unreadable files) are dropped, so that N processes see
    each sample once. Rows arrive in :meth:`finish` ordered by their ``index``, on every process.
    """

    def __init__(self) -> None:
        self._parts: list[dict[str, Tensor]] = []

    @abstractmethod
    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Pick named columns, each (B, ...), from the step's outputs and the batch."""

    @abstractmethod
    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Use the collected table; called once, on every process, when testing ends."""

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget an earlier run."""
        self._parts = []

    def take(self, module: L.LightningModule, outputs: STEP_OUTPUT, batch: Mapping[str, Any]) -> None:
        """Keep this batch's columns."""
        if not isinstance(outputs, Mapping):
            return
        picked = self.columns(outputs, batch)
        picked |= {"index": batch["index"], "valid": batch["valid"]}
        self._parts.append({name: column.detach() for name, column in picked.items()})

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join batches and processes, then finish."""
        if not self._parts:
            return
        names = list(self._parts[0])
        table = {name: torch.cat([part[name] for part in self._parts]) for name in names}
        if trainer.world_size > 1:
            # The sampler pads all ranks to one length, so the gathered tensors have one shape.
            table = {name: _flatten_ranks(pl_module.all_gather(column)) for name, column in table.items()}
        keep = table.pop("valid")
        table = {name: column[keep].cpu() for name, column in table.items()}
        order = table["index"].argsort()
        self._parts = []
        self.finish(trainer, pl_module, {name: column[order] for name, column in table.items()})


def _flatten_ranks(gathered: object) -> Tensor:
    """(ranks, N, ...) -> (ranks * N, ...)."""
    return torch.as_tensor(gathered).flatten(0, 1)
