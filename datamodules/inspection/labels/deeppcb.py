"""DeepPCB: boxes of six classes of defect on printed circuit boards; the domains are sets of boards.

Source: S. Tang, F. He, X. Huang, J. Yang, "Online PCB Defect Detector On A New PCB Defect Dataset", arXiv 1902.06197.
The folder holds ``manifest.csv`` (``image,template,board_group,domain,split,num_boxes``) and ``boxes.csv``
(``image,x1,y1,x2,y2,class_id,class_name``).

The manifest's ``val`` is the test split here. Neighbouring pictures of a board show neighbouring places, so validation
is the last block of ids of each board group in ``train``, the farthest from the test block. The defect-free twins of
new-domain images join training as healthy images; twins of validation and test images are never shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from datamodules.common.errors import fail
from datamodules.inspection.batch import NEW
from datamodules.inspection.labels.manifest import DOMAINS, read_boxes
from datamodules.inspection.labels.records import RawImage, SplitName
from datamodules.tables.columns import Table

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
_SPLITS: dict[str, SplitName] = {"train": "train", "val": "test"}
_COLUMNS = ("image", "template", "board_group", "domain", "split")


def read_deeppcb(root: str | Path, val_fraction: float) -> list[RawImage]:
    """Read both domains.

    Args:
        root: Folder of ``manifest.csv``, ``boxes.csv``, ``images`` and ``templates``.
        val_fraction: Part of each board group's training ids that validates.

    Raises:
        LabelError: If a list is missing or a value is not allowed.
    """
    folder = Path(root)
    objects = read_boxes(folder / "boxes.csv", "class_name")
    table = Table(folder / "manifest.csv", _COLUMNS)
    boards: dict[str, list[tuple[RawImage, str]]] = defaultdict(list)
    for line, (name, template, board, domain, split) in table.records(_COLUMNS):
        if domain not in DOMAINS or split not in _SPLITS:
            raise fail(table.path, line, f"domain {domain!r} must be original or new, split {split!r} train or val")
        image = RawImage(
            path=str((folder / name).absolute()),
            name=name,
            domain=DOMAINS[domain],
            source=f"{table.path}, line {line}",
            split=_SPLITS[split],
            objects=objects.get(name, ()),
        )
        boards[board].append((image, template))
    return [image for rows in boards.values() for image in _board(folder, rows, val_fraction)]


def _board(folder: Path, rows: list[tuple[RawImage, str]], val_fraction: float) -> list[RawImage]:
    """Images of one board group with their final split, and the twins that may be shown."""
    train = sorted(row[0].name for row in rows if row[0].split == "train")
    count = min(max(1, round(val_fraction * len(train))), max(len(train) - 1, 0)) if val_fraction > 0 else 0
    validates = set(train[len(train) - count :])
    images = []
    for image, template in rows:
        split: SplitName | None = "val" if image.name in validates else image.split
        images.append(replace(image, split=split, group=image.name))
        if template and split == "train" and image.domain == NEW:
            twin = str((folder / template).absolute())
            images.append(replace(image, path=twin, name=template, group=image.name, objects=(), is_healthy=True))
    return images
