"""Which layer still knows how much of a face: pictures from the activations of each, and a table of their likeness."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np

from callbacks.figures.pictures import write_image
from callbacks.figures.prediction_writer import PredictionWriter, of_all_processes
from callbacks.figures.sheet import Picture, as_picture, draw_grid
from datamodules.common.atomic_write import write_text
from datamodules.face_attributes.batch import FaceBatch
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

_MEASURES = ("psnr", "ssim", "error")


class LayerReconstructions(PredictionWriter[FaceBatch]):
    """Write what `predict` in the mode ``reconstruct`` makes of given faces.

    Into the output folder go ``reconstructions.csv``, a row for each face and layer with PSNR in dB, SSIM and the
    relative error of the activations, and ``reconstructions.png``: a row a face, the source, then each layer.

    Args:
        output: Folder; None takes the run's.
        sheet_faces: Faces of the picture.
    """

    def __init__(self, output: str | None = None, sheet_faces: int = 16) -> None:
        super().__init__(output)
        self.sheet_faces = sheet_faces
        self._rows: list[dict[str, Any]] = []
        self._pictures: dict[int, list[Picture]] = {}

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin anew."""
        self._rows, self._pictures = [], {}

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: FaceBatch
    ) -> None:
        """Take down the measures of a batch; no picture is kept beyond those of the sheet."""
        layers = outputs.get("layers") or {}
        for row in batch["valid"].nonzero()[:, 0].tolist():
            face = int(batch["index"][row])
            for layer, found in layers.items():
                measures = {name: round(float(found[name][row]), 4) for name in _MEASURES}
                self._rows.append({"face": face, "file": _file(batch, row), "layer": layer, **measures})
            if face < self.sheet_faces and layers:
                sides = [batch["image"][row], *(found["image"][row] for found in layers.values())]
                self._pictures[face] = [as_picture(side) for side in sides]

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write table and picture, the faces of all processes in the order of their rows."""
        gathered = of_all_processes(trainer, (self._rows, self._pictures))
        if not trainer.is_global_zero:
            return
        rows = sorted((row for part, _ in gathered for row in part), key=lambda row: int(row["face"]))
        if not rows:
            log.warning("no face was reconstructed: set mode to reconstruct, and name pictures as path")
            return
        pictures = {face: shown for _, part in gathered for face, shown in part.items()}
        self._write(self.folder(trainer), rows, pictures)

    def _write(self, folder: Path, rows: list[dict[str, Any]], pictures: dict[int, list[Picture]]) -> None:
        write_text(folder / "reconstructions.csv", csv_text(list(rows[0]), (list(row.values()) for row in rows)))
        layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
        means = {layer: [row for row in rows if row["layer"] == layer] for layer in layers}
        for layer, own in means.items():
            psnr, ssim = (float(np.nanmean([row[name] for row in own])) for name in ("psnr", "ssim"))
            log.info("%s: PSNR %.1f dB, SSIM %.3f over %d faces", layer, psnr, ssim, len(own))
        faces = sorted(pictures)
        files = {int(row["face"]): Path(str(row["file"])).name for row in rows}
        grid = draw_grid([pictures[face] for face in faces], [files[face] for face in faces], ["source", *layers])
        write_image(grid, folder / "reconstructions.png")


def _file(batch: Mapping[str, Any], row: int) -> str:
    """Where a face comes from: faces say it as their file, requests as their source."""
    return str((batch.get("file") or batch.get("source") or [""] * (row + 1))[row])
