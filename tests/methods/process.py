"""One process of a run: a real one that can be killed, begun from a server that has imported everything once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

import cli
from datamodules.common import atomic_write
from tests.forks import forks, pair
from tests.running import REPOSITORY

POINTS = ["before fsync", "before replace", "before the folder's fsync"]
POINT, MARK = "WRITING_POINT", "WRITING_MARK"  # where the writing of a checkpoint waits, and the file that says so
_WAIT = 120.0


def start(
    commands: Sequence[Sequence[str]], log: Path, environment: Mapping[str, str] | None = None
) -> ForkServerProcess:
    """Begin a process that runs command lines one after another, and writes what they print to ``log``."""
    process = forks().Process(target=_run, args=(commands, str(log), dict(environment or {})))
    process.start()
    return process


def start_pair(
    commands: Sequence[Sequence[str]], log: Path, environment: Mapping[str, str] | None = None
) -> list[ForkServerProcess]:
    """Begin two processes of one group, as torchrun would."""
    ranks = [{**(environment or {}), **rank} for rank in pair()]
    words = [[*command, "--trainer.devices=2", "--trainer.strategy=ddp"] for command in commands]
    return [start(words, log.with_name(f"{log.stem}{rank['RANK']}.txt"), rank) for rank in ranks]


def wait(processes: Sequence[ForkServerProcess], seconds: float = 240.0) -> list[int | None]:
    """Exit codes; None of a process that had to be ended since it took longer."""
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.exitcode is None:
            process.kill()
            process.join()
    return codes


def run(commands: Sequence[Sequence[str]], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run command lines in one process, which must end well."""
    assert wait([start(commands, log, environment)]) == [0], log.read_text()[-3000:]


def run_pair(commands: Sequence[Sequence[str]], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run command lines in two processes of one group, which must end well."""
    codes = wait(start_pair(commands, log, environment))
    assert codes == [0, 0], [log.with_name(f"{log.stem}{rank}.txt").read_text()[-3000:] for rank in range(2)]


def _run(commands: Sequence[Sequence[str]], log: str, environment: Mapping[str, str]) -> None:
    own = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(own, stream)
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run in the background
    wait_at_the_point()
    sys.exit(max(cli.main(command) for command in commands))


def wait_at_the_point() -> None:
    """Let the writing of a checkpoint wait at the point that the environment names, until the test ends the process."""
    point = os.environ.get(POINT)
    if point is None:
        return
    mark = Path(os.environ[MARK])
    seen = {"before fsync": 0, "before replace": 0, "before the folder's fsync": 0}

    def pause(here: str) -> None:
        seen[here] += 1
        if here == point and seen[here] == 2:
            mark.touch()
            deadline = time.monotonic() + _WAIT
            while mark.exists() and time.monotonic() < deadline:
                time.sleep(0.01)

    def around(name: str, before: str | None, after: str | None = None) -> Callable[[Path], None]:
        real: Callable[[Path], None] = getattr(atomic_write, name)

        def wrapped(path: Path) -> None:
            ours = path.suffix == ".ckpt" or path.name == "checkpoints"
            if before is not None and ours:
                pause(before)
            real(path)
            if after is not None and ours:
                pause(after)

        return wrapped

    setattr(atomic_write, "_synchronise", around("_synchronise", POINTS[0], POINTS[1]))  # noqa: B010
    setattr(atomic_write, "_synchronise_folder", around("_synchronise_folder", POINTS[2]))  # noqa: B010


if __name__ == "__main__":
    wait_at_the_point()
    sys.exit(cli.main())
