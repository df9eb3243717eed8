"""The embedded inspection data set: parts of two production lines, drawn on first use and kept in a cache folder.

13 classes of surface defect with exact masks. The second line has another light, background, surface and sensor, and
harmless structures that look like defects; models trained on the first line alone lose on it. Nothing is downloaded.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from datamodules.common.errors import StoreError
from datamodules.common.generated import generated_folder, made_once
from datamodules.common.progress import file_progress
from datamodules.inspection.demo.parts import DOMAINS, SPLITS, draw_part
from datamodules.inspection.demo.settings import DEFECT_CLASSES, InspectionDemoSettings
from datamodules.tables.csv import csv_text

DEMO_VERSION = 1  # raise it whenever the same settings would give other images or masks
_MANIFEST = "manifest.csv"
_COLUMNS = ("image", "mask", "domain", "split", "group", "healthy")


def inspection_demo_folder(settings: InspectionDemoSettings) -> Path:
    """Where the images of these settings are or will be; any other setting or version has another folder."""
    content = {"version": DEMO_VERSION, **settings.content()}
    return generated_folder("inspection_demo", settings.cache_dir, content)


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
    return made_once(
        folder,
        lambda: _complete(folder, settings),
        lambda partial: _make(partial, settings),
        what="images",
        megabytes=150,
        failure=StoreError,
    )


def _complete(folder: Path, settings: InspectionDemoSettings) -> bool:
    """Whether the manifest is there and no image or mask was deleted by hand."""
    total = sum(settings.counts().values())
    rooms = (folder / "images", folder / "masks")
    return (folder / _MANIFEST).is_file() and all(
        room.is_dir() and sum(1 for _ in room.iterdir()) == total for room in rooms
    )


def _make(partial: Path, settings: InspectionDemoSettings) -> None:
    """Make the images in a partial folder; the caller holds the lock."""
    if partial.exists():  # an interrupted making
        shutil.rmtree(partial)
    for room in ("images", "masks"):
        (partial / room).mkdir(parents=True)
    rows = []
    counts = settings.counts()
    with file_progress("Making the demo images", sum(counts.values())) as advance:
        for split in SPLITS:
            for domain in DOMAINS:
                for number in range(counts[f"{domain}_{split}"]):
                    part = draw_part(settings, domain, split, number)
                    name = f"{domain}_{split}_{number:05d}"
                    # Level 1: three times as fast as the default, a tenth larger.
                    Image.fromarray(part.image).save(partial / "images" / f"{name}.png", compress_level=1)
                    Image.fromarray(part.mask).save(partial / "masks" / f"{name}.png", compress_level=1)
                    paths = f"images/{name}.png", f"masks/{name}.png"
                    rows.append((*paths, domain, split, name, int(part.flagged)))
                    advance()
    (partial / "classes.txt").write_text("\n".join(DEFECT_CLASSES) + "\n", encoding="utf-8")
    (partial / _MANIFEST).write_text(csv_text(_COLUMNS, rows), encoding="utf-8")
