"""``--run FOLDER``: the configuration and the checkpoint of a run, in the place of two options."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_modules.commands.front.config_files import config_folder
from lightning_modules.commands.front.early.words import value_of, without
from lightning_modules.commands.front.errors import CommandLineError

# Data module of a run -> shipped file that says what `predict` writes for it, beside the run's own configuration.
PREDICT_CONFIGS = {
    "VideoQualityDataModule": "video_quality/score",
    "InspectionDataModule": "inspection/mine",
    "ActionDataModule": "action/annotate",
    "FaceAttributeDataModule": "face_attributes/predict",
}
_CHOICES = ("best", "last")
GENERATOR_FILE = "generator.ckpt"  # what a run of statistics writes into its folder

log = logging.getLogger("appraise")


def expand_run(command: str, arguments: Sequence[str]) -> list[str]:
    """Replace ``--run FOLDER`` by the run's ``config.yaml`` and checkpoint; what the user states comes after them.

    ``fit`` goes on from the newest checkpoint in a folder of its own; the others take the best one, or the one that
    ``--ckpt_path best`` or ``last`` names, and write into a folder of the run named after the command.

    Raises:
        CommandLineError: If the folder is no run, or has no checkpoint.
    """
    given = value_of("--run", arguments)
    if given is None:
        return list(arguments)
    words = without("--run", arguments)
    wanted = value_of("--ckpt_path", words)
    folder = run_folder(given)
    inserted = [f"--config={folder / 'config.yaml'}"]
    if command == "predict" and value_of("--config", words) is None and value_of("-c", words) is None:
        inserted += _predict_config(folder)
    if wanted is None or wanted in _CHOICES:
        words = without("--ckpt_path", words)
        chosen = newest_state(folder) if command == "fit" and wanted is None else None
        inserted.append(f"--ckpt_path={chosen or checkpoint_of(folder, wanted or 'best')}")
    if command != "fit":
        inserted.append(f"--output={folder / command}")
    return [*inserted, *words]


def checkpoint_for_run(arguments: Sequence[str]) -> list[str]:
    """Replace ``--run FOLDER`` by the run's checkpoint, for commands that take no configuration of it.

    It is the generator of a run of statistics, else the best one, or that which ``--ckpt_path best`` or ``last`` names.

    Raises:
        CommandLineError: If the folder is no run, or has no checkpoint.
    """
    given, words = value_of("--run", arguments), without("--run", arguments)
    if given is None:
        return list(arguments)
    wanted = value_of("--ckpt_path", words)
    if wanted is not None and wanted not in _CHOICES:
        raise CommandLineError(f"--run {given} and --ckpt_path {wanted} both name a checkpoint: leave one of them out")
    generator = Path(given).expanduser() / GENERATOR_FILE
    chosen = generator if generator.is_file() else checkpoint_of(run_folder(given), wanted or "best")
    return [f"--ckpt_path={chosen}", *without("--ckpt_path", words)]


def run_folder(given: str) -> Path:
    """The folder of a run: the given one, or the newest run with a checkpoint in it, which is named.

    Raises:
        CommandLineError: If there is none.
    """
    folder = Path(given).expanduser()
    if folder.name == "config.yaml" or folder.parent.name == "checkpoints":
        folder = folder.parent if folder.name == "config.yaml" else folder.parent.parent
    if not folder.is_dir():
        raise CommandLineError(f"--run {given}: there is no such folder; `appraise runs` lists the runs")
    if (folder / "config.yaml").is_file():
        return folder
    runs = [path.parent for path in folder.glob("*/config.yaml") if any((path.parent / "checkpoints").glob("*.ckpt"))]
    if not runs:
        raise CommandLineError(
            f"--run {given}: the folder is no run, which holds config.yaml and checkpoints; `appraise runs` lists them"
        )
    newest = max(runs, key=lambda run: (run / "config.yaml").stat().st_mtime)
    log.info("run %s%s", newest, f" (the newest of {len(runs)})" if len(runs) > 1 else "")
    return newest


def checkpoint_of(folder: Path, wanted: str) -> Path:
    """``best.ckpt`` or ``last.ckpt`` of a run; its newest checkpoint where other callbacks gave other names.

    Raises:
        CommandLineError: If there is no checkpoint.
    """
    checkpoints = folder / "checkpoints"
    named = checkpoints / f"{wanted}.ckpt"
    if named.is_file():
        return named
    files = sorted(checkpoints.glob("*.ckpt"), key=os.path.getmtime)
    if not files:
        raise CommandLineError(f"{folder} holds no checkpoint: its training ended before it wrote one")
    log.info("%s is not there, so the newest is taken: %s", named, files[-1])
    return files[-1]


def newest_state(folder: Path) -> Path:
    """Checkpoint that a training goes on from: ``last.ckpt``, or the one that the run itself went on from.

    A run that was resumed holds the best checkpoint of the one before from the start, and ``last.ckpt`` from its first
    epoch on; stopped before, it stands where it began.

    Raises:
        CommandLineError: If there is no checkpoint.
    """
    if (folder / "checkpoints/last.ckpt").is_file():
        return folder / "checkpoints/last.ckpt"
    before = _settings(folder).get("ckpt_path")
    former = Path(before).expanduser() if isinstance(before, str) else None
    own = sorted((folder / "checkpoints").glob("*.ckpt"), key=os.path.getmtime)
    if former is None or not former.is_file() or (own and own[-1].stat().st_mtime > former.stat().st_mtime):
        return checkpoint_of(folder, "last")
    log.info("%s ended before it wrote last.ckpt, so it goes on from where it began: %s", folder, former)
    return former


def _settings(folder: Path) -> dict[str, Any]:
    """What a run's configuration says; nothing where it cannot be read, which the parser says."""
    import yaml

    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _predict_config(folder: Path) -> list[str]:
    data = _settings(folder).get("data")
    name = str(data.get("class_path")).rpartition(".")[2] if isinstance(data, dict) else ""
    return [f"--config={config_folder() / PREDICT_CONFIGS[name]}.yaml"] if name in PREDICT_CONFIGS else []
