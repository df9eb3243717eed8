"""What is asked of a cluster: nodes, devices, time, and where."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lightning_modules.commands.front.errors import CommandLineError

CLUSTER_FILE = Path("~/.config/appraise/cluster.toml")
_TIME = re.compile(r"(\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2})")  # what Slurm takes
_WORD = re.compile(r"[\w.,:&|*@+=/\[\]()-]+")  # names that may stand in a directive


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as Slurm is asked for it.

    Attributes:
        nodes: Machines.
        gpus_per_node: GPUs of each, one process a GPU; 0 for a job of processors alone.
        tasks_per_node: Processes of each machine; by default as many as GPUs, or one.
        time: Wall time as Slurm writes it.
        cpus_per_task: Processors of each process.
        memory: Memory of each node as Slurm writes it; None leaves it to the partition.
        partition: Queue; None takes the cluster's own.
        account: Project that pays.
        qos: Quality of service.
        constraint: Features that a node must have.
        mail: Address that is told of end and failure.
        modules: Environment modules to load.
        environment: Shell file to source first, such as ``/home/me/venv/bin/activate``.
        save_before: Seconds before the wall time ends at which Slurm asks for the last checkpoint; it may ask up to 60
            earlier.
        scratch: Folder on a node's own disk, for staged data; variables of the node's shell may stand in it.
    """

    nodes: int = 1
    gpus_per_node: int = 1
    tasks_per_node: int | None = None
    time: str = "1:00:00"
    cpus_per_task: int = 4
    memory: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    mail: str | None = None
    modules: tuple[str, ...] = ()
    environment: str | None = None
    save_before: int = 90
    scratch: str = "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}"

    @property
    def devices(self) -> int:
        """Processes of each node, and so what ``trainer.devices`` is."""
        return self.tasks_per_node or max(1, self.gpus_per_node)

    def check(self) -> None:
        """Find what Slurm would refuse.

        Raises:
            CommandLineError: Naming the option, its value and what is allowed.
        """
        least = {"nodes": 1, "gpus_per_node": 0, "tasks_per_node": 1, "cpus_per_task": 1, "save_before": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise CommandLineError(f"{_option(name)} is {value}, but at least {lowest} is needed")
        if self.gpus_per_node and self.devices != self.gpus_per_node:
            raise CommandLineError(
                f"--tasks-per-node is {self.devices} beside {self.gpus_per_node} GPUs a node, but each process has one "
                "GPU: leave it out"
            )
        if not _TIME.fullmatch(self.time):
            raise CommandLineError(f'--time is "{self.time}", but Slurm takes minutes, 8:00:00 or 2-12:00:00')
        for name in ("memory", "partition", "account", "qos", "constraint", "mail"):
            value = getattr(self, name)
            if value is not None and not _WORD.fullmatch(value):
                raise CommandLineError(
                    f'{_option(name)} is "{value}", but no name in a job script has a space or such letters'
                )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def read_cluster(path: Path | None) -> dict[str, object]:
    """Defaults of a cluster from a TOML file; none where no file is named and the user has none.

    Raises:
        CommandLineError: If the file is missing, is no TOML, or names what no job has.
    """
    file = (path or CLUSTER_FILE).expanduser()
    if not file.is_file():
        if path is None:
            return {}
        raise CommandLineError(f"there is no file {file}: --cluster names a TOML file with a cluster's defaults")
    try:
        values: dict[str, object] = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandLineError(f"{file} is no TOML file: {error}") from error
    known = {field.name: field.default for field in fields(JobRequest)}
    for name, value in values.items():
        if name not in known:
            raise CommandLineError(f'{file} names "{name}", but a cluster has {", ".join(known)}')
        kind = int if name in ("nodes", "gpus_per_node", "tasks_per_node", "cpus_per_task", "save_before") else str
        if name == "modules":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise CommandLineError(f"{file}: modules is {value!r}, but it is a list of names")
            values[name] = tuple(value)
        elif not isinstance(value, kind) or isinstance(value, bool):
            raise CommandLineError(f"{file}: {name} is {value!r}, but it is {'a number' if kind is int else 'text'}")
    return values


def job_request(cluster: Mapping[str, object], stated: Mapping[str, object]) -> JobRequest:
    """The cluster's defaults with what the command line states over them, checked."""
    given = {name: value for name, value in stated.items() if value is not None}
    request = replace(JobRequest(), **{**cluster, **given})  # type: ignore[arg-type]  # types were checked one by one
    request.check()
    return request


def words(command: list[str]) -> str:
    """A command as a shell reads it, an option a line."""
    lines: list[str] = []
    for word in command:
        quoted = shlex.quote(word)
        if word.startswith("--") and lines:
            lines.append(f"    {quoted}")
        else:
            lines[-1:] = [f"{lines[-1]} {quoted}" if lines else quoted]
    return " \\\n".join(lines)
