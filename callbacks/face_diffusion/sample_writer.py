"""Write made pictures as they come, each whole or not at all, with a list and a sheet of all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from callbacks.figures.pictures import write_image
from callbacks.figures.prediction_writer import PredictionWriter
from callbacks.figures.run_key import run_key
from callbacks.figures.sheet import Picture, SheetFace, as_picture, draw_sheet
from datamodules import FaceDiffusionDataModule
from datamodules.common.atomic_write import atomic_path, write_text
from datamodules.face_diffusion.batch import SampleBatch
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

_HEADER = ("file", "seed", "index", "class")


class SampleWriter(PredictionWriter[SampleBatch]):
    """Write the samples of a `RewardTunedDiffusion` while it predicts.

    Into the output folder go ``seed0_000012.png``, named by seed and number, which its metadata hold too; at the end
    ``samples.csv`` and ``sheet.png``. The same command goes on with a folder: a picture that these weights and options
    made before is not made again.

    Args:
        output: Folder; None takes the run's.
        columns: Pictures in a row of the sheet.
        sheet_pictures: Pictures of the sheet, the first ones.
    """

    def __init__(self, output: str | None = None, columns: int = 16, sheet_pictures: int = 128) -> None:
        super().__init__(output)
        self.columns = columns
        self.sheet_pictures = sheet_pictures
        self._key = ""
        self._kept = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Tell the data module which samples are done."""
        data = getattr(trainer, "datamodule", None)
        if stage != "predict" or not isinstance(data, FaceDiffusionDataModule):
            return
        self._key = run_key(trainer, pl_module, data)
        folder = self.folder(trainer)
        done = [number for number in range(data.settings.samples) if self._is_done(folder / _name(data, number))]
        trainer.strategy.barrier()  # nobody writes before all have looked
        data.exclude(done)
        self._kept = len(done)
        if done:
            log.info("%d of %d samples are in %s already", len(done), data.settings.samples, folder)
        if len(done) == data.settings.samples and trainer.is_global_zero:
            self._finish(folder, data)  # nothing is predicted, so that no later hook is called

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: SampleBatch
    ) -> None:
        """Write the pictures of a batch."""
        data = _data(trainer)
        for image, number, label, valid in zip(
            outputs["image"],
            outputs["index"].tolist(),
            outputs["label"].tolist(),
            outputs["valid"].tolist(),
            strict=True,
        ):
            if valid:
                facts = {"seed": data.settings.sample_seed, "index": number, "class": label, "run": self._key}
                _write_png(as_picture(image), self.folder(trainer) / _name(data, number), facts)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the list and the sheet of all samples, those that the folder held already among them."""
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self._finish(self.folder(trainer), _data(trainer))

    def _finish(self, folder: Path, data: FaceDiffusionDataModule) -> None:
        names = [_name(data, number) for number in range(data.settings.samples)]
        labels = data.sample_labels().tolist()
        words = [data.class_names[label] if data.class_names and label >= 0 else "" for label in labels]
        rows = [
            (name, data.settings.sample_seed, number, word)
            for number, (name, word) in enumerate(zip(names, words, strict=True))
        ]
        write_text(folder / "samples.csv", csv_text(_HEADER, rows))
        shown = names[: self.sheet_pictures]
        faces = [SheetFace((np.asarray(Image.open(folder / name).convert("RGB")),), "") for name in shown]
        write_image(draw_sheet(faces, self.columns), folder / "sheet.png")
        log.info("%d samples, %d of them from before: %s", len(names), self._kept, folder / "samples.csv")

    def _is_done(self, file: Path) -> bool:
        try:
            with Image.open(file) as picture:
                return bool(picture.info.get("run") == self._key)
        except (OSError, UnidentifiedImageError):
            return False


def _data(trainer: L.Trainer) -> FaceDiffusionDataModule:
    data = getattr(trainer, "datamodule", None)
    assert isinstance(data, FaceDiffusionDataModule)  # the front door pairs them
    return data


def _name(data: FaceDiffusionDataModule, number: int) -> str:
    return f"seed{data.settings.sample_seed}_{number:06d}.png"


def _write_png(picture: Picture, file: Path, facts: Mapping[str, object]) -> None:
    info = PngInfo()
    for name, value in facts.items():
        info.add_text(name, str(value))
    with atomic_path(file) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=info)
