"""The embedded data set: short-form clips made on first use by a real encoder and kept in a cache folder.

Each source is drawn, degraded and encoded by x264 once in each of six QP intervals; its opinion score is a
full-reference measure of the region that counts, made fair between contents. Nothing is downloaded.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, get_args

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import VideoError
from datamodules.common.fingerprint import config_digest
from datamodules.video_quality.demo.sources import DemoSettings, split_of
from datamodules.video_quality.demo.worker import ClipRecord, record_path

__all__ = ["DEMO_VERSION", "DemoSettings", "demo_folder", "make_demo"]

DEMO_VERSION = 2  # raise it whenever the same settings would give other clips or other scores
_MANIFEST_COLUMNS = ("file", "mos", "pattern", "reference", "split", "x1", "y1", "x2", "y2")
_Detail = Literal["file", "layout", "kinds", "qp", "inside", "outside", "loss"]
_DETAIL_COLUMNS: tuple[_Detail, ...] = get_args(_Detail)
_LINES = 4  # lines of progress in a file


def demo_folder(settings: DemoSettings) -> Path:
    """Where the clips of these settings are or will be; any other setting or version has another folder."""
    digest = config_digest({"version": DEMO_VERSION, **settings.content()})
    return cache_folder(settings.cache_dir) / "video_quality_demo" / digest[:16]


def make_demo(settings: DemoSettings) -> Path:
    """Make the clips unless they are there, and return their folder.

    The folder appears at once when all is complete. Processes that ask at the same time wait for the one that makes
    it; an interrupted making goes on where it stopped. Progress goes to the standard error: a bar on a terminal, a few
    plain lines elsewhere, nothing where nothing is to be made.

    Args:
        settings: What to make and where to keep it.

    Returns:
        Folder with ``manifest.csv`` (columns ``file,mos,pattern,reference,split,x1,y1,x2,y2``; pattern is the QP
        interval 0..5, the box is the region that counts in pixels, its ends exclusive), ``details.csv`` (how each clip
        was made) and ``clips/``.

    Raises:
        VideoError: If a clip or the folder cannot be written.
    """
    folder = demo_folder(settings)
    if _complete(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not _complete(folder):
                _make(folder, settings)
    except OSError as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(
            f"Cannot make the demo clips in {folder}: {error}; free some disk space (100 MB) or name another folder "
            "by the environment variable APPRAISE_CACHE."
        ) from error
    return folder


def _complete(folder: Path) -> bool:
    """Whether the manifest and all the clips that it lists are there."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return False
    with manifest.open(encoding="utf-8", newline="") as stream:
        return all((folder / row["file"]).is_file() for row in csv.DictReader(stream))


def _make(folder: Path, settings: DemoSettings) -> None:
    """Make the clips in a partial folder, then give it its name; the caller holds the lock."""
    partial = folder.with_suffix(".partial")
    for room in ("clips", "records"):
        (partial / room).mkdir(parents=True, exist_ok=True)
    for stale in (partial / "clips").glob(".*"):  # half-written by a making that was killed
        stale.unlink()
    pending = [number for number in range(settings.sources) if not record_path(partial, number).exists()]
    with _progress(settings.sources, settings.sources - len(pending)) as advance:
        for _ in _work(partial, settings, pending):
            advance()
    splits = split_of(settings)
    records: list[tuple[str, ClipRecord]] = []
    for number in range(settings.sources):
        clips: list[ClipRecord] = json.loads(record_path(partial, number).read_text(encoding="utf-8"))
        records.extend((splits[number], clip) for clip in clips)
    rows = [(c["file"], c["mos"], c["pattern"], c["reference"], split, *c["region"]) for split, c in records]
    details = [tuple(c[name] for name in _DETAIL_COLUMNS) for _, c in records]
    (partial / "details.csv").write_text(_csv(_DETAIL_COLUMNS, details), encoding="utf-8")
    (partial / "manifest.csv").write_text(_csv(_MANIFEST_COLUMNS, rows), encoding="utf-8")
    shutil.rmtree(partial / "records")
    if folder.exists():  # clips were deleted from it by hand
        shutil.rmtree(folder)
    partial.replace(folder)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Text of a csv file with a header."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """Give a function to call for each source that is made."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("Making the demo clips", total=total, completed=done)
            yield lambda: bar.advance(task)
        return
    count = done

    def report() -> None:
        nonlocal count
        count += 1
        if count * _LINES // total > (count - 1) * _LINES // total:
            console.print(f"Making the demo clips: {count} of {total} sources", highlight=False)

    yield report


def _work(folder: Path, settings: DemoSettings, pending: Sequence[int]) -> Iterator[int]:
    """Let worker processes make the pending sources; yields each number when its source is complete."""
    count = min(settings.workers, len(pending))
    if count == 0:
        return
    workers = [_Worker(folder, settings) for _ in range(count)]
    free: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def make(number: int) -> int:
        worker = free.get()
        try:
            return worker.make(number)
        finally:
            free.put(worker)

    # A thread for each worker does nothing but wait for its answers.
    pool = ThreadPoolExecutor(count)
    try:
        for future in as_completed([pool.submit(make, number) for number in pending]):
            yield future.result()
    finally:
        for worker in workers:
            worker.stop()
        pool.shutdown(cancel_futures=True)


class _Worker:
    """One process of :mod:`datamodules.video_quality.demo.worker`.

    A command of its own, not a fork: the caller may hold threads of torch, and its main script may have no guard.
    """

    def __init__(self, folder: Path, settings: DemoSettings) -> None:
        root = str(Path(__file__).resolve().parents[3])  # where the packages lie
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        # One thread a process: the processes share the cores already.
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        content = json.dumps(settings.content())
        # A file, since a pipe that nobody reads could fill up and block; stop() closes it.
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "datamodules.video_quality.demo.worker", str(folder), content],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment,
            text=True,
        )

    def make(self, number: int) -> int:
        """Have one source made; waits for it."""
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise RuntimeError("the worker was started without pipes")
        try:
            requests.write(f"{number}\n")
            requests.flush()
            answer = answers.readline()
        except OSError:  # the process is gone and its pipe with it
            answer = ""
        if answer.strip() != str(number):
            self._process.kill()
            self._process.wait()
            self._complaints.seek(0)
            last = (self._complaints.read().strip().splitlines() or ["it was stopped"])[-1]
            raise VideoError(f"Making source {number} of the demo failed: {last}; call it again to go on from there.")
        return number

    def stop(self) -> None:
        """End the process, at once if it is still at work."""
        self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                with suppress(OSError):  # unsent requests of a dead process
                    stream.close()
