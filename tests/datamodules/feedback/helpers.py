"""A store on generated surfaces, the real server as a process of its own, and a browser, for the tests of the page."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.batch import Detection
from datamodules.inspection.store.feedback import FeedbackStore
from tests.datamodules.samples import rle
from tests.running import free_port

CLASSES = [
    "scratch", "dent", "pit", "crack", "stain", "burr", "chip", "inclusion", "scale", "pore", "fold", "rust", "gouge",
]  # fmt: skip
START = "import sys; from lightning_modules.commands.mentoring.ask import run; sys.exit(run('mentor', sys.argv[1:]))"


def make_store(
    folder: Path,
    images: int,
    each: int = 3,
    size: tuple[int, int] = (480, 640),
    seed: int = 7,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """A mined store: brushed metal with marks, and a detection on each mark."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with FeedbackStore(folder / "feedback.sqlite", create=True) as store, store.transaction():
        run = store.start_run("c" * 64, "d" * 64, dict.fromkeys(classes, 0.5))
        for number in range(images):
            picture, regions = surface(random, size, each)
            path = folder / f"part_{number:04}.jpg"
            Image.fromarray(picture).save(path, quality=90)
            image = store.add_image(path, file_sha256(path), size[1], size[0], 1)
            found = [detection(random, (kind % len(classes), mask)) for kind, mask in regions]
            store.add_detections(run, image, found, classes)
    return folder / "feedback.sqlite"


def surface(
    random: np.random.Generator, size: tuple[int, int], marks: int
) -> tuple[NDArray[np.uint8], list[tuple[int, NDArray[np.bool_]]]]:
    """One picture (H, W, 3) and for each mark its class and its region in cells of 8 pixels, as a mask (H, W)."""
    height, width = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    brushed = random.normal(0, 9, (height, 1)) + random.normal(0, 3, (height, width))
    light = 40 * np.cos((columns / width - random.uniform(0.2, 0.8)) * 2) + 14 * np.sin(rows / height * 3)
    grey = 118 + brushed + light
    regions = []
    for _ in range(marks):
        kind = int(random.integers(0, 3))
        x, y = random.uniform(60, width - 60), random.uniform(60, height - 60)
        angle, long = random.uniform(0, np.pi), random.uniform(26, 56)
        along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle) + 0.004 * along**2
        wide = (1.6, 13.0, 7.0)[kind]
        far = np.sqrt((along / (long if kind == 0 else wide * 1.3)) ** 2 + (across / wide) ** 2)
        depth = np.clip(1.25 - far, 0, 1)
        grey += (95, -52, -80)[kind] * depth
        if kind == 1:
            grey += 45 * np.clip(1.4 - np.abs(far - 1.1) * 6, 0, 1) * (across > 0)
        cells = (depth > 0.1).reshape(height // 8, 8, width // 8, 8).any((1, 3))
        regions.append((kind, np.kron(cells, np.ones((8, 8), dtype=bool))))
    tinted = grey[..., None] * np.array([0.97, 1.0, 1.04]) + 3
    return np.clip(tinted, 0, 255).astype(np.uint8), regions


def detection(random: np.random.Generator, region: tuple[int, NDArray[np.bool_]]) -> Detection:
    """Detection of one mark, with a score by chance."""
    kind, mask = region
    rows, columns = np.nonzero(mask)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    score = float(random.uniform(0.5, 0.99))
    entropy = float(-score * np.log(score) - (1 - score) * np.log(1 - score))
    return Detection(kind, score, box, score - 0.5, entropy, rle=rle(mask))


class Server:
    """The command ``mentor`` as a process of its own."""

    def __init__(self, store: Path, port: int, *options: str) -> None:
        command = [sys.executable, "-c", START, "--store", str(store), "--port", str(port), "--annotator", "anna"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        self.address = f"http://127.0.0.1:{port}/"
        assert self.process.stdout is not None
        self.printed = self.process.stdout.readline().strip()
        with urllib.request.urlopen(
            self.address, timeout=20
        ) as reply:  # it is listening, so this waits until it answers
            assert reply.status == 200

    def kill(self) -> None:
        """``kill -9`` of exactly this process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def serving(store: Path, *options: str) -> Iterator[Server]:
    server = Server(store, free_port(), *options)
    try:
        yield server
    finally:
        server.stop()


def chromium() -> str:
    """Path of a Chromium of this machine; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium on PATH")
    fonts = shutil.which("fc-list")
    if fonts and not subprocess.run([fonts], capture_output=True, check=False).stdout:
        pytest.skip("Chromium ends where the system has no font: install fonts-dejavu-core")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def new_page(opened: Any, **context: Any) -> Iterator[Any]:
    """A page without anything remembered; errors of its scripts fail the test."""
    surroundings = opened.new_context(**context)
    try:
        page = surroundings.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        assert errors == []
    finally:
        surroundings.close()


def wait_until(page: Any, condition: str, seconds: float = 20.0) -> Any:
    """Wait for a condition in the page; Playwright's own wait would need an eval that the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not (found := page.evaluate(condition)):
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        page.wait_for_timeout(5)
    return found


def wait_ready(page: Any) -> None:
    """Wait until a question is on the screen, the next ones are decoded and nothing is on its way."""
    wait_until(page, "Boolean(window.appraise) && appraise.waiting >= 4 && appraise.pending === 0")


def take_screenshot(
    folder: Path, target: Path, *, width: int = 1280, height: int = 800, touch: bool = False, pause: int = 30
) -> None:
    """Picture of the page for the README: a store is made in ``folder`` and some questions are answered.

    In this folder: ``PYTHONPATH=<repository> python -c "from pathlib import Path; from helpers import take_screenshot;
    take_screenshot(Path('/tmp/page'), Path('page.png'), pause=1200)"``.

    Args:
        folder: Folder of the images and the store.
        target: Picture to write.
        width: Of the window.
        height: Likewise.
        touch: Whether it is a phone's.
        pause: Milliseconds between two answers; the page shows the pace.
    """
    store = make_store(folder, images=40)
    context = {
        "viewport": {"width": width, "height": height},
        "has_touch": touch,
        "device_scale_factor": 2 if touch else 1,
    }
    with serving(store) as server, browser() as opened, new_page(opened, **context) as page:
        page.goto(server.address)
        wait_ready(page)
        for key in "yynyyyny1yynyy2yyynyyyyny yyynyy1yyynyy":
            page.keyboard.press(key)
            page.wait_for_timeout(pause)
        wait_ready(page)
        page.wait_for_timeout(600)
        page.screenshot(path=str(target))
