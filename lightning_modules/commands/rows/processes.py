"""Work of a table in processes of its own, some at a time."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.rows.results import Result

log = logging.getLogger("appraise")

_SIGN_OF_LIFE = 30.0  # seconds of silence
_LOG = "log.txt"


class Task(Protocol):
    """A piece of work."""

    @property
    def folder(self) -> Path:
        """Where its log and its result go."""


TaskT = TypeVar("TaskT", bound=Task)


def work_through(
    ready: Callable[[], Iterable[TaskT]],
    work: Callable[[TaskT], Result],
    tell: Callable[[TaskT, Result], None],
    root: Path,
    processes: int,
    threads: int,
) -> None:
    """Do all that can be done, until nothing is ready any more.

    Args:
        ready: Pieces of work that are not done and wait for nothing.
        work: Does one, in a process of its own; a function of a module.
        tell: Says what came of one.
        root: Folder that folders are named from.
        processes: Pieces of work at a time.
        threads: Threads of each.

    Raises:
        CommandLineError: If a process was killed.
    """
    running: dict[Future[Result], TaskT] = {}
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=set_up_process, initargs=(threads,)
    )
    try:
        while True:
            begun = {task.folder for task in running.values()}
            waiting = [task for task in ready() if task.folder not in begun]
            for task in waiting[: processes - len(running)]:
                running[pool.submit(work, task)] = task
            if not running:
                break
            done = wait(running, timeout=_SIGN_OF_LIFE, return_when=FIRST_COMPLETED).done
            for future in done:
                task = running.pop(future)
                tell(task, _result(task.folder, root, future))
            if not done:
                _tell_where([task.folder for task in running.values()], root)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(folder: Path, root: Path, future: Future[Result]) -> Result:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        raise CommandLineError(
            f"a process of {folder.relative_to(root)} was killed (out of memory?): lower `processes`; the same command "
            "goes on"
        ) from error
    if error is not None:
        log.warning("%s failed; what it said is in %s", folder.relative_to(root), folder / _LOG)
        raise error
    return future.result()


def _tell_where(folders: Iterable[Path], root: Path) -> None:
    """Say what the trainings at work said last, for a command that is silent for minutes else."""
    for folder in folders:
        file = folder / _LOG
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else []
        said = next((line for line in reversed(lines) if line.strip()), "begins")
        log.info("%s: %s", folder.relative_to(root), said)


def set_up_process(threads: int) -> None:
    """Give a process of the pool its share of the cores, and let it end with the loop, however that ends."""
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once ``parent`` is gone: a killed loop must not go on training beside the next one."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextlib.contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Send what a command says to ``log.txt``: several run at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / _LOG).open("a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield
