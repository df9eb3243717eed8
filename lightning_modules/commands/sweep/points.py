"""The trainings of a sweep on this machine: each a process of its own, in a folder of its own, whose result stays."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from datamodules.common.atomic_write import write_text
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean
from lightning_modules.commands.front.run_folder import RUN_FOLDER
from lightning_modules.commands.sweep.plan import Plan
from lightning_modules.commands.sweep.space import Values

RESULT = "result.json"  # the last file of a point
LOG = "log.txt"
_SENTENCE = "appraise fit: "
_PAUSE = 0.1  # seconds between two looks at the processes


@dataclass(frozen=True, slots=True)
class Point:
    """One training.

    Attributes:
        number: Place in the sweep, from 0.
        values: What is swept.
        folder: Folder of the run, the same however often it is started.
    """

    number: int
    values: Values
    folder: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training ended with.

    Attributes:
        best: Best value of the metric, by the sweep's goal; None where it failed.
        last: Its last value.
        seconds: Wall time.
        failure: Why there is no value; empty where there is one.
    """

    best: float | None
    last: float | None
    seconds: float
    failure: str = ""


def read_outcome(point: Point) -> Outcome | None:
    """How a point ended; None where it has not."""
    file = point.folder / RESULT
    return Outcome(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def is_done(point: Point) -> bool:
    """Whether a point has a value; one that failed is tried again when the sweep goes on."""
    outcome = read_outcome(point)
    return outcome is not None and not outcome.failure


def run_points(plan: Plan, points: Sequence[Point], jobs: int) -> Generator[tuple[Point, Outcome]]:
    """Train at points, some at a time, and tell of each that ends.

    Args:
        plan: The sweep.
        points: Those that have no value yet.
        jobs: Trainings at a time; the GPUs of ``CUDA_VISIBLE_DEVICES`` are shared out among them.

    Raises:
        CommandLineError: If a training of an earlier sweep is still at work in a point's folder, or a training logs no
            such metric.
    """
    waiting, free = deque(points), deque(range(jobs))
    running: dict[int, tuple[Point, subprocess.Popen[bytes], float]] = {}
    try:
        while waiting or running:
            while waiting and free:
                place, point = free.popleft(), waiting.popleft()
                running[place] = (point, _start(plan, point, place, jobs), time.monotonic())
            for place, (point, process, began) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[place]
                free.append(place)
                yield point, _finish(plan, point, process.returncode, time.monotonic() - began)
            time.sleep(_PAUSE)
    finally:  # Ctrl-C, or an error: each training writes last.ckpt and goes on from there next time
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.wait()


def _start(plan: Plan, point: Point, place: int, jobs: int) -> subprocess.Popen[bytes]:
    point.folder.mkdir(parents=True, exist_ok=True)
    (point.folder / RESULT).unlink(missing_ok=True)
    # Each process beside others gets its share of the cores and of the GPUs.
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // jobs))
    own = {RUN_FOLDER: str(point.folder), "WANDB_MODE": "offline", "OMP_NUM_THREADS": threads}
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(devices) >= jobs > 1:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(devices[place::jobs])
    with (point.folder / LOG).open("ab") as log:
        _claim(log.fileno(), point.folder)
        return subprocess.Popen(
            plan.words(point.values),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **own},
            start_new_session=True,  # Ctrl-C reaches this process alone, which asks the training to save and end
        )


def _claim(log: int, folder: Path) -> None:
    """Lock the log, which the training inherits: it stays locked until that ends, even where this process is killed.

    Raises:
        CommandLineError: If it is locked.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CommandLineError(
            f"a training that an earlier sweep began still works in {folder}: wait for it, or end it"
        ) from error
    except OSError:
        return  # a file system without locks


def _finish(plan: Plan, point: Point, code: int, seconds: float) -> Outcome:
    values, others = metric_values(point.folder / "metrics.csv", plan.metric)
    known = [value for value in values if not math.isnan(value)]
    if code:
        outcome = Outcome(None, None, seconds, _last_words(point.folder / LOG, code))
    elif not values:
        raise plan.error(
            f"metric.name is {plan.metric}, which point {point.number} did not log"
            f"{did_you_mean(plan.metric, others)}: correct it, and give another --output"
        )
    elif not known:
        outcome = Outcome(None, None, seconds, f"{plan.metric} was never a number")
    else:
        best = min(known) if plan.goal == "minimize" else max(known)
        outcome = Outcome(best, known[-1], seconds)
    write_text(point.folder / RESULT, json.dumps(asdict(outcome), indent=1) + "\n")
    return outcome


def metric_values(file: Path, metric: str) -> tuple[list[float], list[str]]:
    """Values of a metric in the order of the log, and the names of all that is logged."""
    if not file.is_file():
        return [], []
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return [float(row[metric]) for row in rows if row.get(metric)], list(rows.fieldnames or ())


def _last_words(log: Path, code: int) -> str:
    """The sentence that a training ended with."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; what it said is in {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    own = [line for line in lines if line.startswith(_SENTENCE)] or lines  # loggers may speak after it
    return own[-1].removeprefix(_SENTENCE) if own else f"ended with {code} and said nothing"
