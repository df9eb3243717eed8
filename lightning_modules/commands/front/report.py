"""Lines that a command ends with: metrics, the checkpoint, and what to try next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from lightning_modules.commands.front.config_files import ConfigFile, config_names


def metric_lines(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    """Each metric as name and value.

    Example:
        >>> metric_lines([{"test/srcc": 0.83, "test/plcc": 0.812345}])
        ['test/srcc 0.83', 'test/plcc 0.8123']
    """
    return [f"{name} {value:.4g}" for loader in metrics for name, value in loader.items()]


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


def program() -> str:
    """How this program was called, for commands to copy."""
    return f"python {sys.argv[0]}" if Path(sys.argv[0]).name == "cli.py" else "appraise"


def next_command(configs: Sequence[ConfigFile], path: str) -> str:
    """The command to try after a training on some configuration files, with its checkpoint."""
    shown = shlex.quote(_short(path))
    known = config_names()
    names = [Path(config.name.removeprefix("configs/")) for config in configs if config.packaged]
    for folder in (name.parent.as_posix() for name in names):
        own = next((name for name in (f"{folder}/score", f"{folder}/predict") if name in known), None)
        if own is not None:
            return (
                f"next: {program()} predict --config {own} --ckpt_path {shown} "
                "--data.init_args.path FOLDER_OR_FILE --output DIR"
            )
        if f"{folder}/annotate" in known:
            return f"next: {program()} annotate SOURCE --ckpt_path {shown} --output DIR"
    options = [f"--config {shlex.quote(config.name)}" for config in configs]
    return " ".join(["next:", program(), "test", *options, "--ckpt_path", shown])


def _short(path: str) -> str:
    """Path as seen from here, when it lies below."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
