"""``appraise status``: where a submitted run stands."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lightning_modules.commands.cluster.submit import SUBMITTED
from lightning_modules.commands.front import resume
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.errors import CommandLineError

results = logging.getLogger(RESULTS)


def run(command: str, arguments: Sequence[str]) -> int:
    """Say state, restarts, step and last save of every run of a folder.

    Args:
        command: ``status``.
        arguments: The run's folder.

    Returns:
        0.

    Raises:
        CommandLineError: If the folder holds no run.
    """
    set_up_console()
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise CommandLineError("status takes one word, the folder of a run: appraise status runs/.../version_0")
    folder = Path(arguments[0]).expanduser()
    runs = [
        path
        for path in (folder, *sorted(folder.glob("seed_*")), *sorted(folder.glob("trial_*")))
        if (path / "checkpoints").is_dir()
    ]
    job = _job(folder)
    if not runs and job is None:
        raise CommandLineError(_nothing(folder))
    if job is not None:
        results.info("job %s: %s", job, state_of(job))
    for path in runs:
        results.info("%s: %s", path, standing(path))
    return 0


def _nothing(folder: Path) -> str:
    """Why a folder says nothing of a run."""
    if not folder.is_dir():
        return f"there is no folder {folder}: give the one that submit or fit named"
    if (folder / SUBMITTED / "job.sh").is_file():
        return f"the job of {folder} is written, but not queued: appraise submit --run {folder}"
    below = sorted(path.name for path in folder.glob("version_*"))
    if below:
        return f"{folder} holds runs, and is none: give one of {', '.join(below)} in it"
    return f"{folder} holds no run that saved anything: neither checkpoints nor {SUBMITTED}/job.json are there"


def _job(folder: Path) -> int | None:
    path = folder / SUBMITTED / "job.json"
    return int(json.loads(path.read_text("utf-8"))["job"]) if path.is_file() else None


def state_of(job: int) -> str:
    """What Slurm's queue says; a job that ended is no longer known to it after some minutes."""
    command = ["squeue", "--noheader", "--job", str(job), "--format=%T, %r, %M of %l on %N"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the queue does not answer ({error})"
    lines = [line.strip() for line in done.stdout.splitlines()]
    return "; ".join(lines) if done.returncode == 0 and lines else "no longer in the queue"


def standing(folder: Path) -> str:
    """Step, restarts and last save of one run."""
    newest = resume.newest_checkpoint(folder)
    restarts = max(0, len(resume.starts(folder)) - 1)
    again = f"{restarts} restart{'' if restarts == 1 else 's'}"
    if newest is None:
        return f"nothing saved yet, {again}"
    saved = datetime.fromtimestamp(newest[0].stat().st_mtime).astimezone().isoformat(" ", "seconds")
    return f"step {newest[1]}, {again}, last saved {saved} ({newest[0].name})"
