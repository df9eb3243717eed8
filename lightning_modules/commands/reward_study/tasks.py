"""The pieces of work of `appraise reward-study`, each run in a process of its own and recorded when it is done."""

from __future__ import annotations

import gc
import math
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from datamodules import FaceDiffusionDataModule
from datamodules.common.atomic_write import atomic_folder, write_text
from datamodules.face_diffusion.dataset import Pictures
from lightning_modules import RewardTunedDiffusion
from lightning_modules.commands.rows.processes import logged
from lightning_modules.commands.rows.results import OptionValue, Result, option_arguments, write_result

# Measures of `measure-generated` that a result holds, beside the share of the first class with its interval.
MEASURES = (
    "kid", "class_kid", "fid", "precision", "recall", "spread", "pixel_spread", "copies", "near_copies", "similar",
    "similarity_mean", "total_variation",
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """A row's model of one seed.

    Attributes:
        folder: Where its runs, its log and its result go.
        config: Configuration of the training.
        options: All options of ``fit``, placeholders filled in.
        pictures: Folder of folders of training pictures, each set once.
    """

    folder: Path
    config: str
    options: dict[str, OptionValue]
    pictures: Path


@dataclass(frozen=True)
class Measuring:
    """Samples of a model, and what they are like.

    Attributes:
        folder: Where samples, measures, log and result go.
        title: Of the row.
        config: Configuration of the sampling.
        checkpoint: The model.
        training: Folder of its training pictures.
        held_out: Folder of real pictures that nobody learnt from; None has none.
        options: All options of ``predict``.
        measure: All options of ``measure-generated``.
    """

    folder: Path
    title: str
    config: str
    checkpoint: str
    training: Path
    held_out: Path | None
    options: dict[str, OptionValue]
    measure: dict[str, OptionValue]

    @property
    def samples(self) -> Path:
        """Folder of the samples."""
        return self.folder / "samples"


def work(task: Training | Measuring) -> Result:
    """Do a piece of work; it can be repeated by hand from ``command.txt``."""
    began = time.monotonic()
    with logged(task.folder):
        result = train(task) if isinstance(task, Training) else measure_samples(task)
    gc.collect()  # the next one of this process needs the memory
    values = {**result.values, "seconds": time.monotonic() - began}
    return write_result(task.folder, Result(values, result.checkpoint))


def train(task: Training) -> Result:
    """Fit, and keep the training pictures of a diffusion model as files."""
    from lightning_modules.commands.front.lightning_cli import launch

    arguments = ["--config", task.config, f"--output={task.folder}", *option_arguments(task.options)]
    write_text(task.folder / "command.txt", shlex.join(["appraise", "fit", *arguments]) + "\n")
    cli = launch("fit", arguments)
    saved = cli.trainer.checkpoint_callback
    # A tuning is meant to leave the data, so that the loss on them says nothing of its best epoch.
    tuned = isinstance(cli.model, RewardTunedDiffusion)
    checkpoint = str(getattr(saved, "last_model_path" if tuned else "best_model_path", ""))
    if isinstance(cli.datamodule, FaceDiffusionDataModule):
        folder = write_pictures(cli.datamodule.training_pictures(), task.pictures)
        write_text(task.folder / TRAINING, f"{folder.name}\n")
    return Result({}, checkpoint)


TRAINING = "training.txt"  # names the folder of a training's pictures


def training_pictures(task_folder: Path, pictures: Path) -> Path:
    """Folder of the pictures that a training saw."""
    return pictures / (task_folder / TRAINING).read_text(encoding="utf-8").strip()


def write_pictures(pictures: Pictures, folder: Path) -> Path:
    """Write pictures as PNG into a folder that is named after what they are, once; the folder."""
    place = folder / pictures.fingerprint[:16]
    if not place.is_dir():
        with atomic_folder(place) as temporary:
            for number, picture in enumerate(_one_by_one(pictures)):
                picture.save(temporary / f"{number:06d}.png")
    return place


def _one_by_one(pictures: Pictures) -> Iterable[Image.Image]:
    for batch in pictures:
        for picture in batch.permute(0, 2, 3, 1).numpy():
            yield Image.fromarray(picture)


def measure_samples(task: Measuring) -> Result:
    """Draw samples, going on with those that are there, and measure them."""
    from lightning_modules.commands.front.lightning_cli import launch
    from lightning_modules.commands.measures.command import parse
    from lightning_modules.commands.measures.measuring import measure

    arguments = ["--config", task.config, f"--ckpt_path={task.checkpoint}", f"--output={task.samples}"]
    arguments += option_arguments(task.options)
    write_text(task.folder / "command.txt", shlex.join(["appraise", "predict", *arguments]) + "\n")
    launch("predict", arguments)
    [measured] = measure(parse(measure_arguments(task, {task.title: task.samples}, task.folder / "measures")))
    values = {name: math.nan if (found := measured.number(name)) is None else found.value for name in MEASURES}
    first = next((row for row in measured.rows if row.measure == "share"), None)
    if first is not None:
        share, more = first.estimate, measured.number("amplification", first.of)
        values |= {"share": share.value, "share_low": share.low, "share_high": share.high}
        values["amplification"] = math.nan if more is None else more.value
    return Result(values, task.checkpoint)


def measure_arguments(task: Measuring, made: dict[str, Path], output: Path) -> list[str]:
    """Arguments of ``measure-generated`` for some folders of samples."""
    options: dict[str, OptionValue] = {
        **task.measure,
        "generated": [f"{name}={folder}" for name, folder in made.items()],
        "training": str(task.training),
        "output": str(output),
    }
    if task.held_out is not None:
        options["held_out"] = str(task.held_out)
    return option_arguments(options)
