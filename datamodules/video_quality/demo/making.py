"""The embedded data set: short-form clips made on first use by a real encoder and kept in a cache folder.

Each source is drawn, degraded and encoded by x264 once in each of six QP intervals; its opinion score is a
full-reference measure of the region that counts, made fair between contents. Nothing is downloaded.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, get_args

from datamodules.common.errors import VideoError
from datamodules.common.generated import generated_folder, made_once
from datamodules.common.progress import file_progress
from datamodules.tables.csv import csv_text
from datamodules.video_quality.demo.sources import DemoSettings, split_of
from datamodules.video_quality.demo.worker import ClipRecord, record_path

DEMO_VERSION = 2  # raise it whenever the same settings would give other clips or other scores
_MANIFEST_COLUMNS = ("file", "mos", "pattern", "reference", "split", "x1", "y1", "x2", "y2")
_Detail = Literal["file", "layout", "kinds", "qp", "inside", "outside", "loss"]
_DETAIL_COLUMNS: tuple[_Detail, ...] = get_args(_Detail)


def demo_folder(settings: DemoSettings) -> Path:
    """Where the clips of these settings are or will be; any other setting or version has another folder."""
    content = {"version": DEMO_VERSION, **settings.content()}
    return generated_folder("video_quality_demo", settings.cache_dir, content)


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
    return made_once(
        folder,
        lambda: _complete(folder),
        lambda partial: _make(partial, settings),
        what="clips",
        megabytes=100,
        failure=VideoError,
    )


def _complete(folder: Path) -> bool:
    """Whether the manifest and all the clips that it lists are there."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return False
    with manifest.open(encoding="utf-8", newline="") as stream:
        return all((folder / row["file"]).is_file() for row in csv.DictReader(stream))


def _make(partial: Path, settings: DemoSettings) -> None:
    """Make the clips in a partial folder; the caller holds the lock."""
    for room in ("clips", "records"):
        (partial / room).mkdir(parents=True, exist_ok=True)
    for stale in (partial / "clips").glob(".*"):  # half-written by a making that was killed
        stale.unlink()
    pending = [number for number in range(settings.sources) if not record_path(partial, number).exists()]
    done = settings.sources - len(pending)
    with file_progress("Making the demo clips", settings.sources, done) as advance:
        for _ in _work(partial, settings, pending):
            advance()
    splits = split_of(settings)
    records: list[tuple[str, ClipRecord]] = []
    for number in range(settings.sources):
        clips: list[ClipRecord] = json.loads(record_path(partial, number).read_text(encoding="utf-8"))
        records.extend((splits[number], clip) for clip in clips)
    rows = [(c["file"], c["mos"], c["pattern"], c["reference"], split, *c["region"]) for split, c in records]
    details = [tuple(c[name] for name in _DETAIL_COLUMNS) for _, c in records]
    (partial / "details.csv").write_text(csv_text(_DETAIL_COLUMNS, details), encoding="utf-8")
    (partial / "manifest.csv").write_text(csv_text(_MANIFEST_COLUMNS, rows), encoding="utf-8")
    shutil.rmtree(partial / "records")


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
