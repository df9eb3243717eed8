"""Processes that begin at once: forks of a server that has imported everything, which takes a new one seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from lightning_modules.commands.rows import processes
from tests.running import REPOSITORY, free_port

# One thread each, so that sums run in one order, and no display or account.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "WANDB_MODE": "offline", "PYTHONPATH": str(REPOSITORY)}


def forks() -> ForkServerContext:
    """The context of these processes, whose server runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


def pair() -> list[dict[str, str]]:
    """Variables of the two processes of one group, as torchrun gives them."""
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    group |= {"TORCHELASTIC_RUN_ID": "pair", "GROUP_RANK": "0"}
    return [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]


def run_script(number: int, script: Path, *arguments: object) -> None:
    """Run a program in one process, or in the two of a group."""
    words = [str(script), *map(str, arguments)]
    begun = [forks().Process(target=_run_script, args=(words, one)) for one in (pair() if number == 2 else [{}])]
    for process in begun:
        process.start()
    for process in begun:
        process.join(240)
    assert [process.exitcode for process in begun] == [0] * number


def _run_script(words: list[str], environment: dict[str, str]) -> None:
    torch.set_num_threads(1)
    os.environ.update(environment)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def use_forks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a table of trainings take these processes for its own ones, but in slow tests."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(processes, "multiprocessing", SimpleNamespace(get_context=lambda kind: forks()))


def run_two_ranks(work: Callable[..., None], folder: Path, *arguments: object) -> None:
    """Call ``work(rank, folder, *arguments)`` in two processes of one group."""
    forks()
    torch.multiprocessing.start_processes(_rank, args=(work, folder, arguments), nprocs=2, start_method="forkserver")


def _rank(rank: int, work: Callable[..., None], folder: Path, arguments: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    work(rank, folder, *arguments)
    dist.destroy_process_group()
