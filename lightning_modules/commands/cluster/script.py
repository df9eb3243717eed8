"""The sbatch script of a training, or of the trials of a sweep."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning_modules.commands.cluster.request import JobRequest, words
from lightning_modules.commands.front.run_folder import RUN_FOLDER

PYTHON = Path("submit", "bin", "python")  # in a sweep's folder
TRIAL = "trial.sh"  # in a trial's folder


@dataclass(frozen=True, slots=True)
class Job:
    """A training as a job runs it.

    Attributes:
        name: Shown by the queue.
        folder: Folder of the run, the same after every restart.
        directory: Where it is run.
        command: The command, without what follows from nodes and devices; of a sweep the interpreter alone.
        seeds: Runs of other seeds, each in a folder of its own below; 0 for one run.
        trials: Runs at points that a sweep's server gives, each in a folder of its own below; 0 for no sweep.
        sweep: Name of the sweep on its server.
        staged: Options whose folder or file is copied to the node's own disk first, with their values.
    """

    name: str
    folder: Path
    directory: Path
    command: list[str]
    seeds: int = 0
    trials: int = 0
    sweep: str = ""
    staged: dict[str, str] | None = None

    @property
    def task(self) -> Literal["seed", "trial"] | None:
        """What the tasks of the array are; None for one run."""
        return "seed" if self.seeds else "trial" if self.trials else None


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
        *(trial(job) if job.trials else training(request, job)),
        *(['srun --ntasks-per-node=1 --ntasks="$SLURM_NNODES" rm -rf "$staged"'] if job.staged else []),
        "",
        "# Where the training could not reach scontrol (a container), it left this file.",
        f'if [ -e "${RUN_FOLDER}/requeue" ]; then',
        f'    rm "${RUN_FOLDER}/requeue"',
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"',
        "fi",
    ]
    return "\n".join(parts) + "\n"


def training(request: JobRequest, job: Job) -> list[str]:
    """The command on all devices."""
    return [
        "# One process a device; where one ends with an error, all end. A restart finds last.ckpt by itself.",
        "srun --kill-on-bad-exit=1 \\",
        "    " + words(job.command) + " \\",
        *(
            f'    --{option}="$staged"/{shlex.quote(Path(value).name)} \\'
            for option, value in (job.staged or {}).items()
        ),
        *(['    "--seed_everything=$SLURM_ARRAY_TASK_ID" \\'] if job.seeds else []),
        f"    --trainer.devices={request.devices} \\",
        f"    --trainer.num_nodes={request.nodes}",
    ]


def trial(job: Job) -> list[str]:
    """One trial of a sweep, by W&B's agent; after a restart the same trial, which an agent would not ask for."""
    return [
        f'if [ -e "${RUN_FOLDER}/{TRIAL}" ]; then  # queued again: the same trial goes on, without an agent',
        f'    bash "${RUN_FOLDER}/{TRIAL}"',
        "else  # the agent calls the `python` of this folder, which runs the trial on all devices",
        f'    PATH={shlex.quote(str(job.folder / PYTHON.parent))}:"$PATH" '
        f"{shlex.join(job.command)} -m wandb agent --count 1 {shlex.quote(job.sweep)}",
        "fi",
    ]


def python_of_trials(request: JobRequest, job: Job) -> str:
    """What W&B's agent calls in place of ``python``: it keeps the trial's command, and runs it on all devices."""
    return f"""\
#!/bin/bash
# Called by W&B's agent in place of python, with the words of one trial.
set -euo pipefail
trial="${RUN_FOLDER}/{TRIAL}"
mkdir -p "${RUN_FOLDER}"
{{
    for name in WANDB_RUN_ID WANDB_SWEEP_ID WANDB_SWEEP_PARAM_PATH WANDB_ENTITY WANDB_PROJECT WANDB_DIR; do
        [ -z "${{!name:-}}" ] || printf 'export %s=%q\\n' "$name" "${{!name}}"
    done
    printf 'exec srun --kill-on-bad-exit=1 %s' {shlex.join(job.command)}
    printf ' %q' "$@" --trainer.devices={request.devices} --trainer.num_nodes={request.nodes}
}} > "$trial.part"
mv "$trial.part" "$trial"
exec bash "$trial"  # so that a stop by the server reaches srun
"""


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
        "array": f"0-{(job.seeds or job.trials) - 1}" if job.task else None,
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
        f"output={job.folder}/{f'{job.task}_%a' if job.task else 'job'}.log",
    ]


def surroundings(request: JobRequest, job: Job) -> list[str]:
    """Modules, environment and variables."""
    own = str(job.folder) + (f"/{job.task}_$SLURM_ARRAY_TASK_ID" if job.task else "")
    number = hashlib.sha256(str(job.folder).encode()).hexdigest()[:12]
    return [
        *(["set +u  # files of others may read what is not set"] if request.modules or request.environment else []),
        *(f"module load {shlex.quote(module)}" for module in request.modules),
        *([f"source {shlex.quote(str(Path(request.environment).expanduser()))}"] if request.environment else []),
        *(["set -u"] if request.modules or request.environment else []),
        f'export {RUN_FOLDER}="{own}"',
        *(
            ["export WANDB_RESUME=allow", "unset WANDB_SERVICE  # of the process that submitted this"]
            if job.trials
            else [f'export WANDB_RUN_ID="{number}{"-$SLURM_ARRAY_TASK_ID" if job.seeds else ""}" WANDB_RESUME=allow']
        ),
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
