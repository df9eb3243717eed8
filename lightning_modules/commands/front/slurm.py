"""A fit inside a Slurm job: its signals are ours, and so is its way back into the queue."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from lightning_modules.commands.front import resume
from lightning_modules.commands.front.run_folder import own_folder

log = logging.getLogger("appraise")


def environment() -> list[SLURMEnvironment]:
    """Slurm's environment without Lightning's requeue, which saves inside the signal handler; empty elsewhere."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def requeue() -> bool:
    """Put this job back into its queue.

    Returns:
        Whether it will start again: not where two starts were at the same step, nor where Slurm refuses.
    """
    folder = own_folder()
    if folder is not None and not resume.gets_further(folder):
        log.warning(
            "warning: the job is not queued again, since the run was started twice at step %d: give it more time "
            "(--time), or save more often (every_minutes)", resume.starts(folder)[-1],
        )  # fmt: skip
        return False
    command = ["scontrol", "requeue", job_number()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        failed = done.returncode != 0 and done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    if failed:
        return _ask_the_script(folder, failed)
    log.info("job %s is queued again", job_number())
    return True


def _ask_the_script(folder: Path | None, failed: str) -> bool:
    """Inside a container scontrol may not be there: the script around it looks for this file."""
    if folder is None:
        log.warning("warning: the job could not be queued again: %s", failed)
        return False
    (folder / "requeue").touch()
    return True


def job_number() -> str:
    """Number of this job, with the task's for an array."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
