"""Write down which pictures a diffusion model learns from, and which it does not see."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import lightning as L

from datamodules import FaceDiffusionDataModule
from datamodules.common.atomic_write import write_text
from datamodules.faces.lists.records import SPLITS
from datamodules.tables.csv import csv_text

LEARNT: Final = "learnt.csv"
HELD_OUT: Final = "held_out.csv"


class PictureLists(L.Callback):
    """Write ``learnt.csv`` and ``held_out.csv`` into the run's folder: what `measure-generated` takes as its sets.

    A training shares a folder out, so that the folder itself is neither. Drawn faces are no files, and have no lists.

    Args:
        folder: Where to; None takes the run's folder.
    """

    def __init__(self, folder: str | None = None) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the lists."""
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, FaceDiffusionDataModule) or not trainer.is_global_zero:
            return
        files = {split: data.picture_files(split) for split in SPLITS}
        held_out = [file for split in SPLITS if split != "train" for file in files[split]]
        place = Path(self.folder).expanduser() if self.folder else Path(trainer.default_root_dir)
        for name, own in ((LEARNT, files["train"]), (HELD_OUT, held_out)):
            if own:
                write_text(place / name, csv_text(["file"], [[file] for file in own]))
