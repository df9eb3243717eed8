"""Write what produced a run beside its checkpoints: the effective configuration, the code, the versions, the seed."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

from callbacks.training.git_state import git_state
from datamodules.common.atomic_write import write_text

PACKAGES = (
    "appraise", "lightning", "torch", "torchmetrics", "timm", "transformers", "jsonargparse", "numpy", "av", "decord",
)  # fmt: skip


class RunRecord(SaveConfigCallback):
    """Write ``config.yaml`` and ``run.json`` into the run's folder, and hand the configuration to W&B.

    The configuration can be used again: ``appraise fit --config <folder>/config.yaml``. Lightning's own callback writes
    to the logger's folder, which runs share under W&B, so that one run would replace the record of another.
    The command line adds this callback by itself; nothing is written under ``fast_dev_run``.

    Args:
        parser: The parser of the command.
        config: The effective configuration.
        config_filename: Name of the configuration's file.
        overwrite: Ignored: a run's folder belongs to one run, so the file is written anew.
        multifile: Must be False: the record is one file.
        save_to_log_dir: Must be False: the record goes into the run's folder.
    """

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write both files; called once, on rank zero only, before anything runs."""
        folder = Path(trainer.default_root_dir)
        text = self.parser.dump(self.config, skip_unset=False)
        facts = run_facts(trainer, seed=self.config.get("seed_everything"))
        write_text(folder / self.config_filename, text)
        write_text(folder / "run.json", json.dumps(facts, indent=2) + "\n")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                # Not under the name config.yaml, which W&B uses for its own file.
                logger.log_hyperparams({"run_config": text, "run": facts})


def run_facts(trainer: L.Trainer, seed: object = None) -> dict[str, object]:
    """Plain facts about a run: command, code, versions, machine, seed."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "folder": str(trainer.default_root_dir),
        "seed": seed,
        "git": git_state(Path(__file__)),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "accelerator": type(trainer.accelerator).__name__,
            "devices": trainer.num_devices,
            "nodes": trainer.num_nodes,
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
