"""Write made pictures as they come, each whole or not at all, with a list and a sheet of all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from callbacks.figures.pictures import write_image
from callbacks.figures.prediction_writer import PredictionWriter
from callbacks.figures.run_key import run_key
from callbacks.figures.sheet import Picture, SheetFace, as_picture, draw_sheet
from datamodules import FaceDiffusionDataModule
from datamodules.common.atomic_write import atomic_path, write_text
from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import config_digest
from datamodules.common.seeded_draws import key_of, uniforms
from datamodules.face_diffusion.batch import SampleBatch
from datamodules.tables.csv import csv_text
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.guidance import ShareGuidance
from lightning_modules.face_diffusion.losses import check_rewards
from lightning_modules.face_diffusion.rewards.contract import Reward, digest_of, joined

log = logging.getLogger(__name__)

_REJECTED = "rejected"
_CHUNK = 256  # pictures that are judged together
_HEADER = ("file", "seed", "index", "class")


class SampleWriter(PredictionWriter[SampleBatch]):
    """Write the samples of a `RewardTunedDiffusion` while it predicts.

    Into the output folder go ``seed0_000012.png``, named by seed and number, which its metadata hold too; at the end
    ``samples.csv`` and ``sheet.png``. The same command goes on with a folder: a picture that these weights and options
    made before is not made again.

    Two ways to other shares without a tuning: ``guidance`` leads each sample to a class while it is drawn, and
    ``accept`` keeps a picture with the probability reward / largest reward, so that those that are kept are of the
    density r p / E[r] that a tuning by the reward aims at. The others go to ``rejected``.

    Args:
        output: Folder; None takes the run's.
        columns: Pictures in a row of the sheet.
        sheet_pictures: Pictures of the sheet, the first ones.
        guidance: Leads the samples; None leaves them to the model.
        accept: What pictures are kept by; None keeps all. A reward that compares takes the training pictures of the
            data, which are to be named as the training named them.

    Raises:
        ConfigurationError: If ``accept`` compares, and the data do not name the training pictures in the model's size.
    """

    def __init__(
        self,
        output: str | None = None,
        columns: int = 16,
        sheet_pictures: int = 128,
        guidance: ShareGuidance | None = None,
        accept: Reward | None = None,
    ) -> None:
        super().__init__(output)
        self.columns = columns
        self.sheet_pictures = sheet_pictures
        self.guidance = guidance
        self.accept = accept
        self._key = ""
        self._labels: list[int] = []  # class of each sample
        self._words: list[str] = []  # in words

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Tell the data module which samples are done."""
        data = getattr(trainer, "datamodule", None)
        if stage != "predict" or not isinstance(data, FaceDiffusionDataModule):
            return
        self._labels = _labels(pl_module, data)
        self._words = _words(pl_module, data, self._labels)
        self._key = run_key(trainer, pl_module, data)
        if self.guidance is not None:
            self.guidance.load()
            self._key = config_digest({"run": self._key, "guidance": digest_of(self.guidance)})
        if self.accept is not None:
            if self.accept.compares:
                _check_compared(pl_module, data)
            self.accept.load()
            self.accept.eval()
        folder = self.folder(trainer)
        done = [
            number
            for number in range(data.settings.samples)
            if self._is_done(folder / _name(data, number), self._labels[number])
        ]
        trainer.strategy.barrier()  # nobody writes before all have looked
        data.exclude(done)
        if done:
            log.info("%d of %d samples are in %s already", len(done), data.settings.samples, folder)
        if len(done) == data.settings.samples and trainer.is_global_zero:
            self._finish(folder, data)  # nothing is predicted, so that no later hook is called

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the guidance lead what is predicted."""
        super().on_predict_start(trainer, pl_module)
        if self.guidance is not None and isinstance(pl_module, RewardTunedDiffusion):
            pl_module.guidance = self.guidance.to(pl_module.device).eval()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Leave the model as it was."""
        if self.guidance is not None and isinstance(pl_module, RewardTunedDiffusion):
            pl_module.guidance = None

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
        _bring_back(folder, names)
        kept = names if self.accept is None else self._accepted(folder, names, data)
        listed = set(kept)
        rows = [
            (name, data.settings.sample_seed, number, word)
            for number, (name, word) in enumerate(zip(names, self._words, strict=True))
            if name in listed
        ]
        write_text(folder / "samples.csv", csv_text(_HEADER, rows))
        faces = [SheetFace((_pixels(folder / name),), "") for name in kept[: self.sheet_pictures]]
        write_image(draw_sheet(faces, self.columns), folder / "sheet.png")
        log.info("%d samples: %s", len(kept), folder / "samples.csv")

    def _accepted(self, folder: Path, names: list[str], data: FaceDiffusionDataModule) -> list[str]:
        """Names of the pictures that are kept, in the folder; the others are put away."""
        assert self.accept is not None  # the caller asked
        if self.accept.compares:
            self.accept.begin(data.training_pictures())
        scored = []
        for start in range(0, len(names), _CHUNK):
            pictures = np.stack([_pixels(folder / name) for name in names[start : start + _CHUNK]])
            with torch.no_grad():
                scored.append(self.accept.score(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()))
        rewards = self.accept.settle(joined(scored))
        check_rewards(rewards, type(self.accept).__name__)
        chance = uniforms(key_of(data.settings.sample_seed, "accepted", torch.arange(len(names))), ["kept"])[:, 0]
        kept = (chance * rewards.max() < rewards).tolist()
        (folder / _REJECTED).mkdir(exist_ok=True)
        for name, stays in zip(names, kept, strict=True):
            if not stays:
                (folder / name).rename(folder / _REJECTED / name)
        log.info("%d of %d samples are kept, the others are in %s", sum(kept), len(names), folder / _REJECTED)
        return [name for name, stays in zip(names, kept, strict=True) if stays]

    def _is_done(self, file: Path, label: int) -> bool:
        away = file.parent / _REJECTED / file.name
        try:
            with Image.open(away if away.is_file() and not file.is_file() else file) as picture:
                return picture.info.get("run") == self._key and picture.info.get("class") == str(label)
        except (OSError, UnidentifiedImageError):
            return False


def _data(trainer: L.Trainer) -> FaceDiffusionDataModule:
    data = getattr(trainer, "datamodule", None)
    assert isinstance(data, FaceDiffusionDataModule)  # the front door pairs them
    return data


def _check_compared(module: L.LightningModule, data: FaceDiffusionDataModule) -> None:
    """Refuse to compare samples with what the model never saw: drawn faces that nobody named, another size."""
    settings = data.settings
    if not settings.has_lists and settings.label_format != "demo" and settings.demo is None:
        raise ConfigurationError(
            "accept compares samples with the training pictures, and nothing says which these are: name them as the "
            "training did, with --data.init_args.root and the like"
        )
    side = getattr(module, "image_size", data.image_size)
    if data.image_size != side:
        raise ConfigurationError(
            f"accept compares samples of {side} pixels with training pictures of {data.image_size}: state "
            f"--data.init_args.image_size {side}"
        )


def _labels(module: L.LightningModule, data: FaceDiffusionDataModule) -> list[int]:
    """Class that each sample is made for; -1 for none."""
    asked = data.sample_labels()
    return (
        module.labels_for(torch.arange(len(asked)), asked) if isinstance(module, RewardTunedDiffusion) else asked
    ).tolist()


def _words(module: L.LightningModule, data: FaceDiffusionDataModule, labels: list[int]) -> list[str]:
    names = data.class_names or (module.config.class_names if isinstance(module, RewardTunedDiffusion) else None)
    return [names[label] if names and label >= 0 else "" for label in labels]


def _name(data: FaceDiffusionDataModule, number: int) -> str:
    return f"seed{data.settings.sample_seed}_{number:06d}.png"


def _write_png(picture: Picture, file: Path, facts: Mapping[str, object]) -> None:
    info = PngInfo()
    for name, value in facts.items():
        info.add_text(name, str(value))
    with atomic_path(file) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=info)


def _bring_back(folder: Path, names: Sequence[str]) -> None:
    """Take out of ``rejected`` what an earlier run put away; what was made anew since replaces it."""
    for name in names:
        away = folder / _REJECTED / name
        if not away.is_file():
            continue
        if (folder / name).is_file():
            away.unlink()
        else:
            away.rename(folder / name)
    with contextlib.suppress(OSError):  # it holds others, or is not there
        (folder / _REJECTED).rmdir()


def _pixels(file: Path) -> Picture:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
