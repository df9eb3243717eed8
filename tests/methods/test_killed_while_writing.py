"""A kill in the middle of the writing of a checkpoint, of one process, of one rank of two, or of a launched job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from tests.methods import process
from tests.methods.conftest import Training
from tests.methods.process import MARK, POINT, POINTS
from tests.methods.run_files import content, differences, first_difference, texts
from tests.methods.table import FRAMES, METHODS, Method
from tests.running import REPOSITORY

ENDED = 90.0  # seconds in which a job must notice that one of its processes is gone


def cases(*others: str) -> list[Any]:
    """Methods x points x what is killed; the frames alone by default."""
    return [
        pytest.param(
            *(method, point, *((other,) if other else ())),
            id="-".join(filter(None, (method.name, point, other))),
            marks=[] if method is FRAMES and other in ("", "the writer") and point == POINTS[1] else [pytest.mark.slow],
        )
        for method in METHODS
        for point in POINTS
        for other in (others or ("",))
    ]


def writing(run: Path, point: str, **more: str) -> dict[str, str]:
    """Environment of a training in its own folder that waits where it writes, and the file that says so."""
    return {"APPRAISE_RUN": str(run), POINT: point, MARK: str(run.with_name("waiting")), **more}


def wait_for(mark: Path, alive: Callable[[], bool], logs: list[Path]) -> None:
    deadline = time.monotonic() + 240
    while not mark.exists():
        assert alive(), texts(logs)
        assert time.monotonic() < deadline, texts(logs)
        time.sleep(0.01)


def kill(first: ForkServerProcess, *others: ForkServerProcess) -> None:
    for victim in (first, *others):
        victim.kill()
    first.join()
    assert first.exitcode == -signal.SIGKILL  # the others may have seen it and have ended before their turn


def assert_ends_the_same(whole: Path, run: Path, exactly: bool = True) -> None:
    assert differences(whole, run, exactly) == []
    for name in ("last", "best"):  # what was learnt to the last bit, whatever the sums of two processes' logs say
        one, two = (content(folder / "checkpoints" / f"{name}.ckpt") for folder in (whole, run))
        assert first_difference(one, two, 0.0) == ""


@pytest.mark.parametrize(("method", "point"), cases())
def test_one_process(method: Method, point: str, data: Path, uninterrupted: Training, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "killed.txt"
    training = process.start([method.training(data)], log, writing(run, point))
    wait_for(tmp_path / "waiting", training.is_alive, [log])
    kill(training)
    process.run([method.training(data)], tmp_path / "resumed.txt", {"APPRAISE_RUN": str(run)})
    assert_ends_the_same(uninterrupted(method), run)


@pytest.mark.parametrize(("method", "point", "victim"), cases("the writer", "the other", "both"))
def test_ranks_of_two(
    method: Method, point: str, victim: str, data: Path, uninterrupted_pair: Training, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", [tmp_path / f"killed{rank}.txt" for rank in range(2)]
    pair = process.start_pair([method.training(data)], tmp_path / "killed.txt", writing(run, point))
    wait_for(tmp_path / "waiting", lambda: all(rank.is_alive() for rank in pair), logs)
    kill(*{"the writer": pair[:1], "the other": pair[1:], "both": pair}[victim])
    (tmp_path / "waiting").unlink()  # a writer that lives goes on, and finds that it is alone
    codes = process.wait(pair, ENDED)
    assert None not in codes, texts(logs)
    assert 0 not in codes
    process.run_pair([method.training(data)], tmp_path / "resumed.txt", {"APPRAISE_RUN": str(run)})
    assert_ends_the_same(uninterrupted_pair(method), run, exactly=False)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1], ids=["frames-the first", "frames-the second"])
@pytest.mark.parametrize("launcher", ["torchrun", "Lightning"])
def test_a_launched_job_ends_when_one_rank_is_killed(
    launcher: str, victim: int, data: Path, uninterrupted_pair: Training, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "killed.txt"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [*(torchrun if launcher == "torchrun" else []), "-m", "tests.methods.process", *FRAMES.training(data)]
    words += ["--trainer.devices=2", "--trainer.strategy=ddp"]
    job = launch([sys.executable, *words], log, writing(run, POINTS[0]))
    wait_for(tmp_path / "waiting", lambda: job.poll() is None, [log])
    os.kill(ranks_of(job.pid, tmp_path / "waiting")[victim], signal.SIGKILL)
    (tmp_path / "waiting").unlink()
    assert job.wait(ENDED) != 0
    deadline = time.monotonic() + ENDED
    while ranks_of(job.pid, tmp_path / "waiting"):
        assert time.monotonic() < deadline, texts([log])
        time.sleep(0.1)
    process.run_pair([FRAMES.training(data)], tmp_path / "resumed.txt", {"APPRAISE_RUN": str(run)})
    assert_ends_the_same(uninterrupted_pair(FRAMES), run, exactly=False)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"frames-{point}")
def test_a_temporary_folder_on_another_file_system(
    point: str, data: Path, uninterrupted: Training, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0" && TMPDIR="$0" exec "$@"', tmp_path / "elsewhere"]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    run, log = tmp_path / "run", tmp_path / "killed.txt"
    words = [*map(str, mount), sys.executable, "-m", "tests.methods.process", *FRAMES.training(data)]
    job = launch(words, log, writing(run, point))
    wait_for(tmp_path / "waiting", lambda: job.poll() is None, [log])
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    process.run([FRAMES.training(data)], tmp_path / "resumed.txt", {"APPRAISE_RUN": str(run)})
    assert_ends_the_same(uninterrupted(FRAMES), run)


def launch(words: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Begin a job with a session of its own."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            words,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def ranks_of(job: int, mark: Path) -> list[int]:
    """Living processes of a launched job, by their ranks; the first is the job itself where no other launches it."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            variables = (folder / "environ").read_text().split("\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"{MARK}={mark}" in variables and state != "Z":
            rank = next((entry.partition("=")[2] for entry in variables if entry.startswith("LOCAL_RANK=")), None)
            if rank is not None or int(folder.name) == job:
                found[-1 if rank is None else int(rank)] = int(folder.name)
    if len(found) == 3:  # torchrun
        del found[-1]
    return [found[rank] for rank in sorted(found)]
