"""The sbatch script of a training."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from lightning_modules.commands.cluster.request import JobRequest, words
from lightning_modules.commands.front.run_folder import RUN_FOLDER


@dataclass(frozen=True, slots=True)
class Job:
    """A training as a job runs it.

    Attributes:
        name: Shown by the queue.
        folder: Folder of the run, the same after every restart.
        directory: Where it is run.
        command: The command, without what follows from nodes and devices.
        seeds: Runs of other seeds, each in a folder of its own below; 0 for one run.
        staged: Options whose folder or file is copied to the node's own disk first, with their values.
    """

    name: str
    folder: Path
    directory: Path
    command: list[str]
    seeds: int = 0
    staged: dict[str, str] | None = None


def render(request: JobRequest, job: Job, code: str) -> str:
    """The script.

    Args:
        request: What is asked of the cluster.
        job: What runs.
        code: One line that says which version of the code this was written from.
    """
    parts = [
        "#!/bin/bash",
        f"# {job.name}: {code}",
        *(f"#SBATCH --{name}" for name in directives(request, job)),
        "",
        "set -euo pipefail",
        f"cd {shlex.quote(str(job.directory))}",
        *surroundings(request, job),
        *staging(request, job),
        "",
        "# One process a device; where one ends with an error, all end. A restart finds last.ckpt by itself.",
        "srun --kill-on-bad-exit=1 \\",
        "    " + words(job.command) + " \\",
        *(f'    "--{option}=$staged/{Path(value).name}" \\' for option, value in (job.staged or {}).items()),
        *(['    "--seed_everything=$SLURM_ARRAY_TASK_ID" \\'] if job.seeds else []),
        f"    --trainer.devices={request.devices} \\",
        f"    --trainer.num_nodes={request.nodes}",
        "",
        "# Where the training could not reach scontrol (a container), it left this file.",
        f'if [ -e "${RUN_FOLDER}/requeue" ]; then',
        f'    rm "${RUN_FOLDER}/requeue"',
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"',
        "fi",
    ]
    return "\n".join(parts) + "\n"


def directives(request: JobRequest, job: Job) -> list[str]:
    """What stands behind ``#SBATCH --``."""
    named = {
        "partition": request.partition,
        "account": request.account,
        "qos": request.qos,
        "constraint": request.constraint,
        "mem": request.memory,
        "mail-user": request.mail,
        "mail-type": "END,FAIL,REQUEUE" if request.mail else None,
        "gres": f"gpu:{request.gpus_per_node}" if request.gpus_per_node else None,
        "array": f"0-{job.seeds - 1}" if job.seeds else None,
    }
    return [
        f"job-name={job.name}",
        f"nodes={request.nodes}",
        f"ntasks-per-node={request.devices}",
        f"cpus-per-task={request.cpus_per_task}",
        f"time={request.time}",
        *(f"{name}={value}" for name, value in named.items() if value is not None),
        f"signal=SIGUSR1@{request.save_before}",
        "requeue",
        "open-mode=append",
        f"output={job.folder}/{'seed_%a' if job.seeds else 'job'}.log",
    ]


def surroundings(request: JobRequest, job: Job) -> list[str]:
    """Modules, environment and variables."""
    own = str(job.folder) + ("/seed_$SLURM_ARRAY_TASK_ID" if job.seeds else "")
    number = hashlib.sha256(str(job.folder).encode()).hexdigest()[:12]
    return [
        *(f"module load {shlex.quote(module)}" for module in request.modules),
        *([f"source {shlex.quote(request.environment)}"] if request.environment else []),
        f'export {RUN_FOLDER}="{own}"',
        f'export WANDB_RUN_ID="{number}{"-$SLURM_ARRAY_TASK_ID" if job.seeds else ""}" WANDB_RESUME=allow',
        'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"  # srun does not inherit it',
    ]


def staging(request: JobRequest, job: Job) -> list[str]:
    """Copies of data on every node's own disk."""
    if not job.staged:
        return []
    sources = " ".join(shlex.quote(value) for value in job.staged.values())
    return [
        "",
        "# Data on each node's own disk; a copy that a restart finds is brought up to date.",
        f'staged="{request.scratch}/appraise-$SLURM_JOB_ID"',
        'srun --ntasks-per-node=1 --ntasks="$SLURM_NNODES" bash -c \'mkdir -p "$0" && cp -ruL "$@" "$0"/\' '
        f'"$staged" {sources}',
    ]
