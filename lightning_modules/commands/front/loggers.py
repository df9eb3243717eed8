"""Loggers of a run: CSV and TensorBoard in its folder, or those of the configuration with their gaps filled."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from datamodules.common.atomic_write import atomic_path
from lightning_modules.commands.front.early.wandb_account import check_wandb_account
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.run_folder import is_first_process

_OFFLINE_MODES = ("offline", "dryrun")


def default_loggers(folder: Path) -> list[Logger]:
    """CSV (``metrics.csv``) first, so that Lightning's ``log_dir`` is the run's folder, then TensorBoard."""
    return [
        CSVLogger(save_dir=str(folder), name="", version=""),
        TensorBoardLogger(save_dir=str(folder), name="", version="tensorboard"),
    ]


def logger_settings(setting: object) -> list[Namespace]:
    """Class paths and arguments of the loggers that a configuration names; empty for true, false and null."""
    items = setting if isinstance(setting, Sequence) and not isinstance(setting, str) else [setting]
    return [item for item in items if isinstance(item, Namespace) and "class_path" in item]


def complete_logger(logger: Namespace, folder: Path) -> None:
    """Put a configured logger's files into the run's folder, unless its configuration says where."""
    arguments = logger.get("init_args") or Namespace()  # type: ignore[no-untyped-call]  # jsonargparse has no types here
    kind = str(logger.class_path).rpartition(".")[2]
    if kind in ("CSVLogger", "TensorBoardLogger", "WandbLogger") and arguments.get("save_dir") in (None, "."):
        arguments["save_dir"] = str(folder)
    if kind in ("CSVLogger", "TensorBoardLogger") and arguments.get("version") is None:
        arguments["name"] = ""
        arguments["version"] = "" if kind == "CSVLogger" else "tensorboard"
    logger["init_args"] = arguments


def go_on(used: Sequence[Logger], before: Path, step: int) -> None:
    """Begin the logs of a resumed run with the rows of the one before, up to the step that it goes on from.

    Args:
        used: Loggers of the run.
        before: Folder of the run before; its own where it goes on in it.
        step: Steps that the checkpoint has behind it.
    """
    for logger in used:
        if isinstance(logger, WandbLogger):
            _go_on_as(before, logger)
        if isinstance(logger, TensorBoardLogger):
            logger._kwargs["purge_step"] = step
            _take_events(before / Path(logger.log_dir).name, Path(logger.log_dir))
        path = before / "metrics.csv"
        if isinstance(logger, CSVLogger) and is_first_process() and path.is_file():
            whole = path.read_text(encoding="utf-8").rpartition("\n")[0]  # a kill may have cut off the last row
            rows = [row for row in csv.DictReader(whole.splitlines()) if (row.get("step") or "").isdigit()]
            rows = [row for row in rows if int(row["step"]) < step]
            # Lightning begins the file anew when it is first asked for it.
            logger.experiment.metrics = [{name: value for name, value in row.items() if value} for row in rows]


def _go_on_as(before: Path, logger: WandbLogger) -> None:
    """Give W&B the number of the run before, so that it is one run there too; one that is asked for stands."""
    asked = logger._wandb_init.get("id") or os.environ.get("WANDB_RUN_ID")
    folders = sorted((before / "wandb").glob("*run-*-*"), key=os.path.getmtime)
    if not asked and folders:
        logger._wandb_init.update(id=folders[-1].name.rpartition("-")[2], resume="allow")


def _take_events(before: Path, here: Path) -> None:
    """Copy what TensorBoard shows of the run before, where it lies in another folder; a copy that is there stands."""
    if before.resolve() == here.resolve() or not is_first_process():
        return
    for file in sorted(before.glob("events.out.tfevents.*")):
        if not (here / file.name).exists():
            with atomic_path(here / file.name) as temporary:
                shutil.copyfile(file, temporary)


def quieten(used: Sequence[Logger]) -> None:
    """Keep W&B from warning about an argument that Lightning passes to it and nobody has set."""
    for logger in used:
        if isinstance(logger, WandbLogger):
            logger._wandb_init.pop("anonymous", None)


def finish(used: Sequence[Logger]) -> None:
    """End W&B's run, so that the next command in this process gets one of its own."""
    if any(isinstance(logger, WandbLogger) for logger in used) and "wandb" in sys.modules:
        sys.modules["wandb"].finish()


def check_wandb(settings: Sequence[Namespace]) -> None:
    """Stop, before there is a folder, when W&B cannot do what it is asked for.

    Args:
        settings: Class paths and arguments of all loggers.

    Raises:
        CommandLineError: If no account is known, or checkpoints shall be uploaded offline.
    """
    for logger in settings:
        if str(logger.class_path).endswith("WandbLogger"):
            _check_wandb(logger.get("init_args") or Namespace())  # type: ignore[no-untyped-call]  # jsonargparse has no types here


def _check_wandb(arguments: Namespace) -> None:
    mode = os.environ.get("WANDB_MODE", "online")
    offline = bool(arguments.get("offline")) or mode in _OFFLINE_MODES
    if not offline and mode != "disabled" and not sys.stdin.isatty():  # on a terminal its client asks for the key
        check_wandb_account(", or WANDB_MODE=offline, which needs none")
    if offline and arguments.get("log_model"):
        raise CommandLineError(
            f"WandbLogger has log_model = {arguments.log_model}, but W&B is offline and cannot upload checkpoints: "
            "set log_model to false (they are in the run's folder anyway), or go online"
        )
