"""A run that goes on in its own folder: where it stands, and how often it was started without getting further."""

from __future__ import annotations

import json
import logging
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from datamodules.common.atomic_write import sweep_folder, write_text
from lightning_modules.commands.front.early.words import without
from lightning_modules.commands.front.run_folder import is_first_process, own_folder

STARTS = "starts.json"  # steps at which the run was started, in its folder

log = logging.getLogger("appraise")


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The checkpoint of a run's folder with the highest step inside, and that step; unreadable ones are named."""
    found = []
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        step = step_of(path)
        if step is None:
            log.warning("warning: %s cannot be read and is passed over", path)
        else:
            found.append((step, path.name == "last.ckpt", path))
    if not found:
        return None
    step, _, path = max(found)
    return path, step


def step_of(path: Path) -> int | None:
    """The step inside a checkpoint; None if it cannot be read."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        return int(content["global_step"])
    except (RuntimeError, EOFError, ValueError, LookupError, OSError, TypeError, pickle.UnpicklingError):
        return None


def with_newest(arguments: Sequence[str]) -> list[str]:
    """Arguments of ``fit`` with the run's own newest checkpoint; the user's ``--ckpt_path`` is for the first start."""
    folder = own_folder()
    if folder is None:
        return list(arguments)
    newest = newest_checkpoint(folder)
    if is_first_process():
        sweep_folder(folder)
        write_text(folder / STARTS, json.dumps([*starts(folder), newest[1] if newest else 0]) + "\n")
    if newest is None:
        return list(arguments)
    log.info("goes on from step %d: %s", newest[1], newest[0])
    return [*without("--ckpt_path", arguments), f"--ckpt_path={newest[0]}"]


def starts(folder: Path) -> list[int]:
    """Steps at which the run was started so far."""
    path = folder / STARTS
    return list(json.loads(path.read_text("utf-8"))) if path.is_file() else []


def gets_further(folder: Path) -> bool:
    """Whether the last two starts were at different steps, or there was one alone."""
    return len(set(starts(folder)[-2:])) == 2 or len(starts(folder)) < 2
