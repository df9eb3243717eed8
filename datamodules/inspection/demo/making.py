"""The embedded inspection data set: parts of two production lines, drawn on first use and kept in a cache folder.

13 classes of surface defect with exact masks. The second line has another light, background, surface and sensor, and
harmless structures that look like defects; models trained on the first line alone lose on it. Nothing is downloaded.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import StoreError
from datamodules.common.fingerprint import config_digest
from datamodules.inspection.demo.parts import DOMAINS, SPLITS, draw_part
from datamodules.inspection.demo.settings import DEFECT_CLASSES, InspectionDemoSettings

__all__ = [
    "DEFECT_CLASSES",
    "DEMO_VERSION",
    "InspectionDemoSettings",
    "inspection_demo_folder",
    "make_inspection_demo",
]

DEMO_VERSION = 1  # raise it whenever the same settings would give other images or masks
_MANIFEST = "manifest.csv"
_COLUMNS = ("image", "mask", "domain", "split", "group", "healthy")
_LINES = 4  # lines of progress in a file


def inspection_demo_folder(settings: InspectionDemoSettings) -> Path:
    """Where the images of these settings are or will be; any other setting or version has another folder."""
    digest = config_digest({"version": DEMO_VERSION, **settings.content()})
    return cache_folder(settings.cache_dir) / "inspection_demo" / digest[:16]


def make_inspection_demo(settings: InspectionDemoSettings) -> Path:
    """Make the images unless they are there, and return their folder.

    The folder appears at once when all is complete; an interrupted making starts anew. Processes that ask at the same
    time wait for the one that makes it. About 10 ms an image; progress goes to the standard error: a bar on a terminal,
    a few plain lines elsewhere, nothing where nothing is to be made.

    Args:
        settings: What to make and where to keep it.

    Returns:
        Folder with ``images/*.png`` (RGB), ``masks/*.png`` (grey, pixel 0 healthy, c + 1 class c of
        :data:`DEFECT_CLASSES`), ``classes.txt`` (a name a line) and ``manifest.csv`` with the columns
        ``image,mask,domain,split,group,healthy``: ``original`` or ``new``, ``train``, ``val`` or ``test``, one group an
        image, 1 where a part was flagged healthy when the image was taken.

    Raises:
        StoreError: If the folder cannot be written.
    """
    folder = inspection_demo_folder(settings)
    if _complete(folder, settings):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not _complete(folder, settings):
                _make(folder, settings)
    except OSError as error:
        raise StoreError(
            f"Cannot make the demo images in {folder}: {error}; free some disk space (150 MB) or name another folder "
            "by the environment variable APPRAISE_CACHE."
        ) from error
    return folder


def _complete(folder: Path, settings: InspectionDemoSettings) -> bool:
    """Whether the manifest is there and no image or mask was deleted by hand."""
    total = sum(settings.counts().values())
    rooms = (folder / "images", folder / "masks")
    return (folder / _MANIFEST).is_file() and all(
        room.is_dir() and sum(1 for _ in room.iterdir()) == total for room in rooms
    )


def _make(folder: Path, settings: InspectionDemoSettings) -> None:
    """Make the images in a partial folder, then give it its name; the caller holds the lock."""
    partial = folder.with_suffix(".partial")
    for stale in (partial, folder):  # an interrupted making; images deleted by hand
        if stale.exists():
            shutil.rmtree(stale)
    for room in ("images", "masks"):
        (partial / room).mkdir(parents=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    counts = settings.counts()
    with _progress(sum(counts.values())) as advance:
        for split in SPLITS:
            for domain in DOMAINS:
                for number in range(counts[f"{domain}_{split}"]):
                    part = draw_part(settings, domain, split, number)
                    name = f"{domain}_{split}_{number:05d}"
                    # Level 1: three times as fast as the default, a tenth larger.
                    Image.fromarray(part.image).save(partial / "images" / f"{name}.png", compress_level=1)
                    Image.fromarray(part.mask).save(partial / "masks" / f"{name}.png", compress_level=1)
                    paths = f"images/{name}.png", f"masks/{name}.png"
                    writer.writerow((*paths, domain, split, name, int(part.flagged)))
                    advance()
    (partial / "classes.txt").write_text("\n".join(DEFECT_CLASSES) + "\n", encoding="utf-8")
    (partial / _MANIFEST).write_text(text.getvalue(), encoding="utf-8")
    partial.replace(folder)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Give a function to call for each image that is made."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("Making the demo images", total=total)
            yield lambda: bar.advance(task)
        return
    count = 0

    def report() -> None:
        nonlocal count
        count += 1
        if count * _LINES // total > (count - 1) * _LINES // total:
            console.print(f"Making the demo images: {count} of {total}", highlight=False)

    yield report
