"""How checkpoints reach the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from datamodules.common.atomic_write import atomic_path, sweep_leftovers


class CheckpointFiles(TorchCheckpointIO):
    """Write every checkpoint beside its target, synchronise it, then replace the target.

    Whatever stops the process while it writes, a checkpoint under its final name is whole: the old one or the new one.
    Lightning writes to the system's temporary folder and moves; where that is another file system, the move is a copy,
    which a kill or a full disk leaves truncated under the final name, the good file before it gone. What killed
    processes leave is removed by the next checkpoint of that name. A symbolic link at the target is replaced, and what
    it leads to stays. Addresses such as ``s3://`` are written as Lightning does.

    The command line adds it by itself; in Python: ``Trainer(plugins=[CheckpointFiles()])``.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: _PATH,
        storage_options: Any = None,  # noqa: ANN401  # as inherited
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: If it cannot be written, as on a full disk; what stood at ``path`` still stands.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        sweep_leftovers(target)
        try:
            with atomic_path(target) as temporary, temporary.open("wb") as stream:
                torch.save(checkpoint, stream)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides why the stream could not be written
                raise OSError(error.__context__.errno, os.strerror(error.__context__.errno or 0), str(path)) from error
            raise
