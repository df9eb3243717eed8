"""Lines that a command ends with: metrics, the checkpoint, and what to try next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from datamodules.common.errors import number_of
from lightning_modules.commands.front.early.run_option import PREDICT_CONFIGS
from lightning_modules.commands.front.early.words import program


def metric_lines(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    """Each metric as name and value, those without one together.

    Example:
        >>> metric_lines([{"test/srcc": 0.83, "test/plcc": 0.812345}])
        ['test/srcc 0.83', 'test/plcc 0.8123']
        >>> metric_lines([{"test/srcc": math.nan, "test/rmse": 0.2}])
        ['test/rmse 0.2', 'without a value: test/srcc']
    """
    pairs = [pair for loader in metrics for pair in loader.items()]
    lines = [f"{name} {value:.4g}" for name, value in pairs if not math.isnan(value)]
    absent = ", ".join(name for name, value in pairs if math.isnan(value))
    return [*lines, f"without a value: {absent}"] if absent else lines


def best_checkpoint(trainer: L.Trainer) -> str | None:
    """Path of the best checkpoint that this run wrote, or of its last one."""
    return _written(trainer, "best_model_path", "last_model_path")


def newest_checkpoint(trainer: L.Trainer) -> str | None:
    """Path of the newest checkpoint that this run wrote, to resume from."""
    return _written(trainer, "last_model_path", "best_model_path")


def _written(trainer: L.Trainer, *kinds: str) -> str | None:
    """First path that a checkpoint callback has, the kinds in order of preference."""
    paths = (getattr(saver, kind, "") for saver in trainer.checkpoint_callbacks for kind in kinds)
    return next((str(path) for path in paths if path), None)


def end_of_training(trainer: L.Trainer, resumed_at: int | None) -> list[str]:
    """Why a training ended where the number of epochs does not tell.

    Args:
        trainer: The one that trained.
        resumed_at: Step of the checkpoint that it went on from; None where it began anew.
    """
    lines = []
    for one in trainer.early_stopping_callbacks:
        waited = f"got no better in {number_of(one.wait_count, 'validation')}"
        if one.stopped_epoch:
            reason = waited if one.wait_count >= one.patience else "reached its limit"
            lines.append(f"stopped early: {one.monitor} {reason}")
    if resumed_at == trainer.global_step and not lines:
        epochs = trainer.max_epochs or -1
        limit, value = ("max_epochs", epochs) if epochs > 0 else ("max_steps", trainer.max_steps)
        lines.append(
            f"this run is finished, nothing was left to train: its checkpoint stands at step {resumed_at}, and {limit} "
            f"is {value}; to train longer raise it, as in --trainer.{limit} {2 * value}"
        )
    return lines


def next_commands(folder: Path, data: str, tested: bool, source: str | None = None) -> list[str]:
    """What to try after a training: a command that works as it stands, and what to add for other files.

    Args:
        folder: Folder of the run.
        data: Name of the class of its data module.
        tested: Whether the run has tested its checkpoint.
        source: A video to annotate, or a folder of them, of a run that learnt actions.
    """
    command = "predict" if tested and data in PREDICT_CONFIGS else "test"
    run = f"--run {shlex.quote(_short(str(folder)))}"
    if command == "predict" and source is not None:
        return [
            f"next: {program()} annotate {shlex.quote(_short(source))} {run}",
            "      or with a video, a folder or camera:0 of your own in its place, and --output DIR",
        ]
    lines = [f"next: {program()} {command} {run}"]
    if command == "predict":
        lines.append("      with --data.path FOLDER_OR_FILE --output DIR for files of your own")
    return lines


def _short(path: str) -> str:
    """Path as seen from here, when it lies below."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
