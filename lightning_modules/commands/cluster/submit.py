"""``appraise submit``: a training as a Slurm job, from one command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml

import cli
from callbacks.training.git_state import git_state
from datamodules.common.atomic_write import write_text
from lightning_modules.commands.cluster.request import JobRequest, job_request, read_cluster, words
from lightning_modules.commands.cluster.script import PYTHON, Job, python_of_trials, render
from lightning_modules.commands.front.bare_options import SentenceParser, split_at_dashes
from lightning_modules.commands.front.config_files import find_config, printed_config, run_name
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.run_folder import claim_run_folder
from lightning_modules.commands.sweep.server import check_account, plan_on_server

log = logging.getLogger("appraise")

SUBMITTED = "submit"  # folder in the run's, with script, configuration and what was submitted when
_NUMBER = re.compile(r"Submitted batch job (\d+)")


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = SentenceParser(
        prog="appraise submit",
        description="Train on a Slurm cluster: a script is written, shown and submitted. What follows -- goes to fit.",
    )
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--config", action="append", metavar="FILE", help="configuration of the training, as fit takes it"
    )
    what.add_argument("--sweep", metavar="ID", help="trials of a sweep of W&B, one a job: ID or ENTITY/PROJECT/ID")
    what.add_argument("--run", metavar="FOLDER", help="go on with a run that was submitted before")
    add("--nodes", type=int, metavar="N", help="machines (default: 1)")
    add("--gpus-per-node", type=int, metavar="N", help="GPUs of each, one process a GPU; 0 for processors (default: 1)")
    add("--tasks-per-node", type=int, metavar="N", help="processes of each where there is no GPU (default: 1)")
    add("--time", metavar="H:MM:SS", help="wall time; the run is queued again when it is over (default: 1:00:00)")
    add("--cpus-per-task", type=int, metavar="N", help="processors of each process (default: 4)")
    add("--save-before", type=int, metavar="S", help="seconds left for the last checkpoint (default: 90)")
    add("--memory", metavar="SIZE", help="memory of each node, such as 64G (default: the partition's)")
    for name, told in (
        ("partition", "queue"), ("account", "project that pays"), ("qos", "quality of service"),
        ("constraint", "features that a node must have"), ("mail", "address to tell of end and failure"),
    ):  # fmt: skip
        add(f"--{name}", metavar="NAME", help=f"{told} (default: the cluster's)")
    add("--cluster", type=Path, metavar="FILE", help="TOML file of defaults (default: ~/.config/appraise/cluster.toml)")
    add(
        "--stage", action="append", default=[], metavar="OPTION", help="copy what this option of fit names to each node"
    )
    add("--array", metavar="N", help="with --sweep N jobs; otherwise seeds=N for N runs, of the seeds 0 to N - 1")
    add("--output", metavar="DIR", help="as of fit: folder of the run's numbered folder")
    add("--here", type=int, metavar="N", help="no cluster: N processes on this machine, by torchrun")
    add("--dry-run", action="store_true", help="write nothing and submit nothing: show the script")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Write, show and submit the script of a training.

    Args:
        command: ``submit``.
        arguments: What follows it; after ``--`` what goes to ``fit``.

    Returns:
        Exit code.

    Raises:
        CommandLineError: If something cannot work; nothing was queued then.
    """
    set_up_console()
    own, further = split_at_dashes(arguments)
    options = build_parser().parse_args(own)
    if options.run:
        _refuse(options, ("run", "dry_run"), "--run goes on with the job's own script")
        return _go_on(Path(options.run), options)
    if options.here is not None:
        _refuse(options, ("here", "config", "output", "dry_run"), "--here runs on this machine, without a job")
    stated = {name: getattr(options, name) for name in JobRequest.__dataclass_fields__ if hasattr(options, name)}
    request = job_request(read_cluster(options.cluster), stated)
    return _sweep(options, request, further) if options.sweep else _training(options, request, further)


def _training(options: argparse.Namespace, request: JobRequest, further: Sequence[str]) -> int:
    """A training as a job, or on this machine."""
    configs = [find_config(name) for name in options.config]
    given = [*(f"--config={config.path}" for config in configs), *further]
    program = [sys.executable, str(Path(cli.__file__).resolve()), "fit"]
    nothing = "nothing was queued" if options.here is None else "nothing was trained"
    effective = yaml.safe_load(printed_config([*program, *given], nothing))
    if options.here is not None:
        return _here(options.here, given, options)
    check_devices(effective, request)
    seeds = 0 if options.array is None else number_of(options.array, "seeds=")
    staged = _staged(effective, options.stage)
    base = Path(str(options.output or effective.get("output") or Path("runs", run_name(configs, "fit"))))
    folder = _folder(base, options.dry_run)
    job = Job(
        name="appraise-" + re.sub(r"[^\w.-]", "-", run_name(configs, "fit")),
        folder=folder,
        directory=Path.cwd(),
        command=[*program, f"--config={folder / SUBMITTED / 'config.yaml'}"],
        seeds=seeds,
        staged=staged,
    )
    return _write(options, request, job, {"config.yaml": yaml.safe_dump(dict(effective), sort_keys=False)})


def _sweep(options: argparse.Namespace, request: JobRequest, further: Sequence[str]) -> int:
    """Jobs that each train at one point of a sweep."""
    if further or options.stage:
        raise CommandLineError("a sweep's own command says what is run, so neither --stage nor -- goes with --sweep")
    trials = number_of(options.array or "1", "")
    check_account()
    name, plan = plan_on_server(options.sweep)
    point = plan.points(1, 0)[0]
    check_devices(yaml.safe_load(printed_config(plan.words(point), "nothing was queued")), request)
    base = Path(str(options.output or Path("runs", "sweeps", name.rpartition("/")[2])))
    job = Job(
        name="appraise-" + re.sub(r"[^\w.-]", "-", name),
        folder=_folder(base, options.dry_run),
        directory=Path.cwd(),
        command=[sys.executable],
        trials=trials,
        sweep=name,
    )
    return _write(options, request, job, {str(PYTHON.relative_to(SUBMITTED)): python_of_trials(request, job)})


def _write(options: argparse.Namespace, request: JobRequest, job: Job, files: Mapping[str, str]) -> int:
    """Show the script, and queue it unless this is a dry run."""
    state = git_state(Path(__file__))
    script = render(request, job, _told(state))
    sys.stdout.write(script)
    if options.dry_run:
        return 0
    for name, text in {**files, "job.sh": script, "code.json": json.dumps(state) + "\n"}.items():
        path = job.folder / SUBMITTED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        if path == job.folder / PYTHON:
            path.chmod(0o755)
    return _queue(job.folder)


def value_of(config: Mapping[str, object], option: str) -> str:
    """Value of a dotted option that names a file or a folder.

    Raises:
        CommandLineError: If there is none, or nothing stands there.
    """
    value: object = config
    for name in option.removeprefix("--").split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not Path(value).expanduser().exists():
        raise CommandLineError(f"--stage {option}: its value is {value!r}, but a file or folder to copy is needed")
    return str(Path(value).expanduser().absolute())


def check_devices(config: Mapping[str, object], request: JobRequest) -> None:
    """Find a configuration that contradicts the job.

    Raises:
        CommandLineError: If it names another number of devices or nodes, or processors where GPUs are asked for.
    """
    trainer = config.get("trainer")
    trainer = trainer if isinstance(trainer, Mapping) else {}
    part = "gpu" if request.gpus_per_node else "cpu"
    for name, wanted in (("devices", request.devices), ("num_nodes", request.nodes)):
        named = trainer.get(name)
        if str(named) not in ("auto", "-1", "None", str(wanted)) and not (name == "num_nodes" and named == 1):
            raise CommandLineError(
                f"the configuration names trainer.{name} {named}, but the job has {wanted}: ask for as many, or add "
                f"`-- --trainer.{name} auto` here, or where the sweep is made" if name == "devices" else
                f"the configuration names trainer.{name} {named}, but the job has {wanted}: leave it out"
            )  # fmt: skip
    accelerator = trainer.get("accelerator")
    if accelerator not in ("auto", None, part) and not (part == "gpu" and accelerator == "cuda"):
        raise CommandLineError(
            f"the configuration names trainer.accelerator {accelerator}, but the job has {request.gpus_per_node} GPUs "
            f"a node: add `-- --trainer.accelerator {part}`, or ask for --gpus-per-node {0 if part == 'gpu' else 1}"
        )


def number_of(array: str, prefix: Literal["seeds=", ""]) -> int:
    """Number of runs of ``--array``, ``seeds=N`` or ``N``.

    Raises:
        CommandLineError: If it is written otherwise.
    """
    found = re.fullmatch(rf"{prefix}([1-9]\d*)", array)
    if found is None:
        beside = "beside --config" if prefix else "beside --sweep"
        raise CommandLineError(f'--array is "{array}", but {beside} it is {prefix}N with N of 1 or more')
    return int(found[1])


def _folder(base: Path, dry_run: bool) -> Path:
    if re.search(r"[\s'\"%\\]", str(base.expanduser().absolute())):
        raise CommandLineError(
            f"the folder is {base}, but a job's log cannot be written there: --output without spaces"
        )
    return base.expanduser().absolute() / "version_N" if dry_run else claim_run_folder(base, numbered=True)


def _told(state: Mapping[str, object] | None) -> str:
    if state is None:
        return "code installed without its repository"
    told = f"commit {state['commit']}"
    if state["dirty"]:
        log.warning("warning: the working tree has changes that no commit holds; the job runs them as they are then")
        return told + ", with changes that no commit holds"
    if not state["pushed"]:
        log.warning("warning: commit %s is on no remote, so nobody else can run it again", state["commit"])
        return told + ", on no remote"
    return told


def _queue(folder: Path) -> int:
    """Submit the script of a run's folder and say what to do next."""
    if shutil.which("sbatch") is None:
        raise CommandLineError(
            f"there is no sbatch on this machine: {folder / SUBMITTED / 'job.sh'} is written; on a login node "
            f"`appraise submit --run {folder}` queues it, and --here N trains on this machine"
        )
    script = folder / SUBMITTED / "job.sh"
    done = subprocess.run(["sbatch", str(script)], capture_output=True, text=True, check=False)
    found = _NUMBER.search(done.stdout)
    if done.returncode != 0 or found is None:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", " ")
        raise CommandLineError(
            f"Slurm refused the job ({said}): nothing is queued; mend {script} and `appraise submit --run {folder}`"
        )
    written = re.findall(r"^#SBATCH --output=(.*)$", script.read_text("utf-8"), re.MULTILINE)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_text(folder / SUBMITTED / "job.json", json.dumps({"job": int(found[1]), "submitted": now}) + "\n")
    sys.stdout.write(
        f"\njob {found[1]}, run {folder}\nwatch: appraise status {folder}\n"
        f"log: tail -F {written[0].replace('%a', '*')}\n"
        f"cancel: scancel {found[1]}\n"
    )
    return 0


def _refuse(options: argparse.Namespace, taken: Sequence[str], why: str) -> None:
    """Refuse options that would be passed over."""
    others = [name for name, value in vars(options).items() if name not in taken and value not in (None, [], False)]
    if others:
        raise CommandLineError(f"{why}, so --{others[0].replace('_', '-')} cannot be given with it: leave it out")


def _staged(config: Mapping[str, object], options: Sequence[str]) -> dict[str, str]:
    """Values of the options to stage; no two of the same name, which one folder cannot hold."""
    staged = {option.removeprefix("--"): value_of(config, option) for option in options}
    if len({Path(value).name for value in staged.values()}) < len(staged):
        raise CommandLineError(f"--stage names {', '.join(staged.values())}, two of one name: stage the folder above")
    return staged


def _go_on(folder: Path, options: argparse.Namespace) -> int:
    script = folder.expanduser().absolute() / SUBMITTED / "job.sh"
    if not script.is_file():
        raise CommandLineError(
            f"--run is {folder}, but no job was submitted from there: it holds no {SUBMITTED}/job.sh"
        )
    sys.stdout.write(script.read_text("utf-8"))
    return 0 if options.dry_run else _queue(script.parent.parent)


def _here(processes: int, given: Sequence[str], options: argparse.Namespace) -> int:
    """Run the same training on this machine, a process of torchrun a device."""
    if processes < 1:
        raise CommandLineError(f"--here is {processes}, but at least one process is needed")
    command = [
        sys.executable, "-m", "torch.distributed.run", f"--master-port={_free_port()}", f"--nproc-per-node={processes}",
        str(Path(cli.__file__).resolve()), "fit", *given, f"--trainer.devices={processes}",
        *([f"--output={options.output}"] if options.output else []),
    ]  # fmt: skip
    sys.stdout.write(words(command) + "\n")
    sys.stdout.flush()
    if options.dry_run:
        return 0
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // processes))
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": threads}, check=False).returncode


def _free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
