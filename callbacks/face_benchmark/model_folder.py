"""Save a taught model as transformers and peft do, when its training ends."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L

from datamodules.common.atomic_write import atomic_folder
from datamodules.common.errors import ConfigurationError
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.folders import save_adapters, save_network

log = logging.getLogger(__name__)


class ModelFolder(L.Callback):
    """Write ``model`` into the run's folder: what `AutoModelForImageTextToText.from_pretrained` and ``weights`` load.

    Where adapters learnt beside named weights, ``adapters`` is written too: they alone, as peft saves them.

    Args:
        folder: Where both go; None takes the run's folder. What stands there is replaced.
    """

    def __init__(self, folder: str | None = None) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the folders."""
        if not isinstance(pl_module, FaceXBenchEvaluator) or not isinstance(pl_module.answerer, Network):
            raise ConfigurationError(
                f"ModelFolder saves the network of a FaceXBenchEvaluator, not {type(pl_module).__name__}: leave it out"
            )
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        place = Path(self.folder).expanduser() if self.folder else Path(trainer.default_root_dir)
        with atomic_folder(place / "model") as temporary:
            save_network(pl_module.answerer, temporary)
        if pl_module.config.adapters is not None and pl_module.config.weights is not None:
            with atomic_folder(place / "adapters") as temporary:
                save_adapters(pl_module.answerer, temporary, pl_module.config.weights)
        log.info("model: %s", place / "model")
