"""What a prediction depends on: rows and pictures of an earlier run are kept where it is the same."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch

from datamodules.common.fingerprint import config_digest, file_sha256, tensors_digest


def weights_digest(trainer: L.Trainer, module: L.LightningModule) -> str:
    """Digest of the checkpoint file, or of the weights where they come from none."""
    return file_sha256(Path(str(trainer.ckpt_path))) if trainer.ckpt_path else tensors_digest(module.state_dict())


def run_facts(trainer: L.Trainer, module: L.LightningModule, data: object) -> dict[str, object]:
    """The weights and every option of model and data that can change a score."""
    return {
        "weights": weights_digest(trainer, module),
        "model": {name: repr(value) for name, value in dict(module.hparams).items()},
        "data": getattr(data, "score_options", {}),
        "precision": str(trainer.precision),
    }


def run_key(trainer: L.Trainer, module: L.LightningModule, data: object) -> str:
    """Digest of the weights and of every option that can change a score."""
    return config_digest({**run_facts(trainer, module, data), "threads": torch.get_num_threads()})
