"""Write made faces as they come: pictures, what is known of each, strips of how they came to be, and a sheet of all."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from callbacks.face_attributes.measures import schema_of
from callbacks.figures.pictures import write_image
from callbacks.figures.prediction_writer import PredictionWriter, of_all_processes
from callbacks.figures.run_key import run_key
from callbacks.figures.sheet import SheetFace, as_picture, draw_sheet, draw_strip
from datamodules.common.atomic_write import write_text
from datamodules.common.fingerprint import config_digest, tensors_digest
from datamodules.face_attributes.batch import AttributeRequestBatch
from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule
from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics

log = logging.getLogger(__name__)

_HISTORY = 40  # losses of a face's search that its file keeps
_NAMED = 12  # attributes that a caption names before it counts the rest
# What the writer itself reads from a prediction; of the rest, numbers a face go into its file as they are.
_READ = ("image", "strip", "history", "attributes", "opinion", "index", "valid", "seed", "name")
_OF_SOURCE = ("similarity", "psnr", "ssim")  # likeness to the source; without one they say nothing


class FaceWriter(PredictionWriter[AttributeRequestBatch]):
    """Write every face of `generate` while predicting.

    Into the output folder go ``NAME.png``; ``NAME.json`` with the attributes asked for, those that they exclude, seed,
    mode, distances of the target from the mean, losses, and the inverted network's own opinion; ``strips/NAME.png``,
    the face step by step; and at the end ``sheet.png`` (``sheet_2.png``, ...) and ``faces.json`` with all of them. A
    face made after a picture stands beside it on the sheet, as ``NAME_source.png`` in the folder, and its similarity in
    its file.

    The same command goes on with a folder: a face whose request, seed, source picture, weights and options agree with
    its file, and whose pictures are all there, is not made again where the requests are those of an
    `AttributeRequestDataModule`, and never written again. The others are then made in smaller batches, which changes a
    face by rounding alone.

    Args:
        output: Folder; None takes the run's.
        columns: Faces in a row of the sheet.
        sheet_faces: Faces of one sheet; more make further sheets.
        strips: Write the strips, where the model keeps intermediate pictures.
    """

    def __init__(self, output: str | None = None, columns: int = 8, sheet_faces: int = 64, strips: bool = True) -> None:
        super().__init__(output)
        self.columns = columns
        self.sheet_faces = sheet_faces
        self.strips = strips
        self._run_key = ""
        self._schema: AttributeSchema | None = None
        self._kept = 0
        self._names: set[str] = set()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Learn what decides a face beside its request, and tell the data module which faces are done."""
        if stage != "predict":
            return
        self._schema = schema_of(pl_module)
        self._run_key = _key_of_run(trainer, pl_module)
        self._kept = 0
        self._names = set()
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, AttributeRequestDataModule):
            self._skip_done(trainer, data)

    def _skip_done(self, trainer: L.Trainer, data: AttributeRequestDataModule) -> None:
        folder, names = self.folder(trainer), data.names
        held = [row for row, name in enumerate(names) if (folder / f"{name}.json").is_file()]  # few pictures are read
        done = [names[row] for row in held if self._is_done(folder, names[row], self._key(data.request(row), 0))]
        trainer.strategy.barrier()  # nobody writes before all have looked
        data.exclude(done)
        self._names, self._kept = set(done), len(done)
        if done:
            log.info("%d of %d faces were made before and are reused from %s", len(done), len(names), folder)
        if len(done) == len(names) and trainer.is_global_zero:
            self._draw_sheets(folder, self._names, "")  # nothing is predicted, so that no later hook is called

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say which attributes are asked for that no counted face shows: what they look like is not known."""
        data, statistics = getattr(trainer, "datamodule", None), getattr(pl_module, "statistics", None)
        if not isinstance(data, AttributeRequestDataModule) or not isinstance(statistics, FaceStatistics):
            return
        shown = (statistics.present_share * statistics.labelled >= 1).cpu()
        wanted = (data.attributes == PRESENT).any(dim=0) & ~shown
        unseen = [name for name, missed in zip(data.schema.attributes, wanted.tolist(), strict=True) if missed]
        if unseen and trainer.is_global_zero:
            log.warning(
                "warning: no face that the statistics counted is known to show %s, so that nothing tells what it looks "
                "like: take it out of the request, or collect statistics of faces with labels for it",
                ", ".join(unseen),
            )

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: AttributeRequestBatch
    ) -> None:
        """Write the faces of a batch."""
        folder = self.folder(trainer)
        self.take_unreadable(batch["source"], batch)
        for row in range(len(batch["name"])):
            if not bool(batch["valid"][row]):
                continue  # padding of the sampler: another process has this face
            name, key = batch["name"][row], self._key(batch, row)
            self._names.add(name)
            if self._is_done(folder, name, key):
                self._kept += 1
                continue
            facts = self._facts(module, outputs, batch, row)
            pictures = {f"{name}.png": Image.fromarray(as_picture(outputs["image"][row]))}
            if batch.get("image") is not None and batch["source"][row]:
                pictures[f"{name}_source.png"] = Image.fromarray(as_picture(batch["image"][row]))
            if self.strips and isinstance(outputs.get("strip"), Tensor) and outputs["strip"].shape[1]:
                strip = [as_picture(picture) for picture in outputs["strip"][row]]
                steps = strip_steps(len(strip), _planned(module), int(facts["steps"]))
                pictures[f"strips/{name}.png"] = draw_strip(strip, steps)
            for file, picture in pictures.items():
                write_image(picture, folder / file)
            # The facts come last: a face that has them is whole.
            facts |= {"files": sorted(pictures), "strips": self.strips, "key": key, "run": self._run_key}
            write_text(folder / f"{name}.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the sheets of all faces that this command makes, those that the folder held already among them."""
        failed = self.report_unreadable(trainer, self.folder(trainer), len(self._names), "sources")
        gathered = of_all_processes(trainer, self._names)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self._draw_sheets(self.folder(trainer), set().union(*gathered), failed)

    def _draw_sheets(self, folder: Path, names: Collection[str], failed: str) -> None:
        faces = read_faces(folder, self._run_key, names)
        if not faces:
            log.warning("no face was made, so there is no sheet")
            return
        write_text(folder / "faces.json", json.dumps(faces, indent=1, ensure_ascii=False) + "\n")
        for number, start in enumerate(range(0, len(faces), self.sheet_faces), start=1):
            part = [_sheet_face(folder, facts) for facts in faces[start : start + self.sheet_faces]]
            ending = "" if number == 1 else f"_{number}"
            write_image(draw_sheet(part, self.columns), folder / f"sheet{ending}.png")
        # Sheets of an earlier command that made more.
        while (old := folder / f"sheet_{number + 1}.png").is_file():
            old.unlink()
            number += 1
        kept = f", {self._kept} of them from an earlier run" if self._kept else ""
        log.info("%d face%s%s%s: %s", len(faces), "s" * (len(faces) > 1), kept, failed, folder / "sheet.png")

    def _facts(
        self, module: L.LightningModule, outputs: Mapping[str, Any], batch: AttributeRequestBatch, row: int
    ) -> dict[str, Any]:
        """Everything that a face's file says."""
        assert self._schema is not None  # set up before predicting begins
        asked = batch["attributes"][row].cpu()
        absent, excluded = _names(self._schema, asked, ABSENT), _excluded(self._schema, asked)
        made_for = outputs["attributes"][row].cpu() if "attributes" in outputs else asked
        history = outputs["history"][:, row].float().cpu() if "history" in outputs else torch.empty(0)
        facts: dict[str, Any] = {
            "name": batch["name"][row],
            "index": int(batch["index"][row]),
            "seed": int(batch["seed"][row]),
            "mode": str(outputs.get("mode", module.hparams.get("mode", ""))),
            "asked_for": _names(self._schema, asked, PRESENT),
            "asked_to_be_absent": [name for name in absent if name not in excluded],
            "excluded": [name for name in absent if name in excluded],
        }
        if not torch.equal(asked, made_for):  # a source without labels: the classifier said them
            facts["taken_to_be"] = _names(self._schema, made_for, PRESENT)
        if batch["source"][row]:
            facts["source"] = batch["source"][row]
            unlabelled = "the request, and of the rest the classifier" if bool((asked >= 0).any()) else "the classifier"
            facts["attributes_by"] = "its labels" if bool(batch["labelled"][row]) else unlabelled
        unread = (*_READ, *(() if batch["source"][row] else _OF_SOURCE))
        facts |= {name: _number_of(value, row) for name, value in outputs.items() if name not in unread}
        facts["steps"] = int(facts.get("steps") or len(history))
        facts["history"] = thinned(history)
        if isinstance(outputs.get("opinion"), Tensor):
            opinion = outputs["opinion"][row].float().cpu()
            said = made_for >= 0
            agrees = ((opinion >= 0.5) == (made_for == PRESENT))[said].float()
            facts["own_agreement"] = round(agrees.mean().item(), 4) if len(agrees) else None
            facts["own_opinion"] = dict(zip(self._schema.attributes, _rounded(opinion), strict=True))
        return {name: value for name, value in facts.items() if value is not None}

    def _key(self, batch: AttributeRequestBatch, row: int) -> str:
        """Digest of everything that decides a face, all known before it is made."""
        key: dict[str, Any] = {"run": self._run_key, "asked": batch["attributes"][row].tolist()}
        key |= {"seed": int(batch["seed"][row]), "source": batch["source"][row]}
        if batch["source"][row]:  # of one without labels, the network of the run says them
            key["labelled"] = bool(batch["labelled"][row])
        if batch["source"][row] and batch.get("image") is not None:  # another box, or another picture of the name
            key["picture"] = tensors_digest({"image": batch["image"][row].cpu()})
        return config_digest(key)

    def _is_done(self, folder: Path, name: str, key: str) -> bool:
        facts = _read_json(folder / f"{name}.json")
        files = facts.get("files")
        if facts.get("key") != key or not isinstance(files, list) or (self.strips and not facts.get("strips")):
            return False
        return all((folder / file).is_file() for file in files)


def _key_of_run(trainer: L.Trainer, module: L.LightningModule) -> str:
    """Digest of weights, statistics and every option that can change a face."""
    key = run_key(trainer, module, getattr(trainer, "datamodule", None))
    statistics = getattr(module, "statistics", None)
    if trainer.ckpt_path or not isinstance(statistics, FaceStatistics):
        return key  # the checkpoint, whose hash is in the key, holds the statistics
    return config_digest({"run": key, "statistics": tensors_digest(statistics.state())})


def read_faces(folder: Path, run: str, names: Collection[str]) -> list[dict[str, Any]]:
    """What the files of some faces say, as far as one set of weights and options made them, by their index."""
    faces = []
    for name in sorted(names):
        facts = _read_json(folder / f"{name}.json")
        if facts.get("run") == run and (folder / f"{name}.png").is_file():
            faces.append(facts)
    return sorted(faces, key=lambda facts: (int(facts["index"]), str(facts["name"])))


def caption_of(facts: Mapping[str, Any]) -> str:
    """Attributes of a face in a few words.

    Example:
        >>> caption_of({"asked_for": ["Smiling"], "asked_to_be_absent": ["Bangs"]})
        'Smiling, no Bangs'
    """
    asked, absent = list(facts.get("taken_to_be") or facts["asked_for"]), list(facts["asked_to_be_absent"])
    words = asked + ([f"no {name}" for name in absent] if len(absent) <= 3 else [])
    if len(words) > _NAMED:
        words = [*words[:_NAMED], f"and {len(words) - _NAMED} more"]
    return ", ".join(words) or "nothing asked for"


def _sheet_face(folder: Path, facts: Mapping[str, Any]) -> SheetFace:
    names = [f"{facts['name']}_source", str(facts["name"])] if facts.get("source") else [str(facts["name"])]
    files = [folder / f"{name}.png" for name in names]
    pictures = tuple(np.asarray(Image.open(file).convert("RGB")) for file in files if file.is_file())
    note = f"seed {facts['seed']}"
    if "own_agreement" in facts:
        note += f", own opinion {facts['own_agreement']:.0%}"
    if "similarity" in facts:
        note += f", similarity {facts['similarity']:.2f}"
    return SheetFace(pictures, caption_of(facts), note)


def _read_json(file: Path) -> dict[str, Any]:
    """Content of a face's file; empty where it is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _number_of(value: object, row: int) -> object:
    """What a prediction says of one face: numbers of a tensor's row, and the same inside mappings."""
    if isinstance(value, Mapping):
        return {str(name): _number_of(entry, row) for name, entry in value.items()}
    if isinstance(value, Tensor):
        own = value[row] if value.ndim else value
        if own.ndim > 1 or own.numel() > 100:
            return None  # a picture or a feature, not a number
        return _rounded(own.double().cpu()) if own.ndim else _plain(own)
    if isinstance(value, (list, tuple)):
        return value[row] if row < len(value) else None
    return value if isinstance(value, (str, int, float, bool)) else None


def _plain(value: Tensor) -> float | int | None:
    if not value.is_floating_point():
        return int(value)
    return float(f"{value.item():.6g}") if math.isfinite(value.item()) else None


def _rounded(values: Tensor) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]


def thinned(history: Tensor) -> list[float | None]:
    """First, last, and some losses between; a face that rests while others of its batch go on repeats none."""
    history = history[history.diff(prepend=history.new_full((1,), math.nan)) != 0]
    rows = torch.linspace(0, max(0, len(history) - 1), min(_HISTORY, len(history))).round().long()
    return _rounded(history[rows])


def _planned(module: L.LightningModule) -> int | None:
    """Steps of the search before its finish, where the module says so."""
    inversion = module.hparams.get("inversion")
    return int(inversion["steps"]) if isinstance(inversion, Mapping) and "steps" in inversion else None


def strip_steps(number: int, planned: int | None, steps: int) -> list[int]:
    """Steps of a face before each of so many pictures of its strip.

    It may rest before the steps that the search was given, where they are known, or be finished after.

    Example:
        >>> strip_steps(4, 30, 15)
        [0, 10, 15, 15]
    """
    planned = steps if planned is None else planned
    return [*(min(round(place * planned / (number - 1)), steps) for place in range(number - 1)), steps]


def _excluded(schema: AttributeSchema, attributes: Tensor) -> set[str]:
    """Attributes that cannot be there since another of their head was asked for."""
    asked = set(_names(schema, attributes, PRESENT))
    single = [head for head in schema.heads if head.kind in ("exclusive", "complete", "ordinal")]
    return {name for head in single if asked & set(head.attributes) for name in head.attributes} - asked


def _names(schema: AttributeSchema, attributes: Tensor, value: int) -> list[str]:
    return [name for name, own in zip(schema.attributes, attributes.tolist(), strict=True) if own == value]
