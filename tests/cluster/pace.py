"""A training that takes its time, so that signals and wall times find it in the middle."""

from __future__ import annotations

import os
import time
from typing import Any

import lightning as L


class Pace(L.Callback):
    """Waits after each batch as long as the variable ``PACE`` says, in seconds."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        time.sleep(float(os.environ.get("PACE", "0")))
