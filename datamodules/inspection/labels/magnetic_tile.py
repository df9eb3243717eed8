"""Magnetic tile surface defects: the same tiles under six steps of light, five classes of defect with masks.

Source: Y. Huang, C. Qiu, K. Yuan, "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020. The folder
holds ``manifest.csv`` (``image,mask,defect_class,exposure,tile_group,split,width,height,defect_area_fraction``).
Exposures 1 and 2 are the original domain, 5 and 6 the new one; 3 and 4 lie between and are left out.

The manifest's ``val`` is the test split here: it shares no tile with ``train``. Validation is cut from ``train`` by
``tile_group`` in ``splits``, so that every exposure of a tile falls on one side. Some tiles are in ``train`` under
several groups; those are joined.
"""

from __future__ import annotations

from pathlib import Path

from datamodules.common.errors import fail
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.labels.records import RawImage, SplitName
from datamodules.tables.columns import Table
from datamodules.tables.numbers import parse_integer

CLASSES = ("blowhole", "break", "crack", "fray", "uneven")
_FREE = "free"
_DOMAIN_OF_EXPOSURE = {1: ORIGINAL, 2: ORIGINAL, 5: NEW, 6: NEW}
_SPLITS: dict[str, SplitName] = {"train": "train", "val": "test"}
# Groups that show one tile again: pictures of them correlate above 0.45 after local normalisation (up to 0.99), in two
# or more pairs; pictures of other groups stay below.
_REPEATS = (
    ("t010", "t012", "t180", "t184", "t185"),
    ("t037", "t042"),
    ("t049", "t050", "t051"),
    ("t064", "t065"),
    ("t111", "t112"),
    ("t151", "t154"),
    ("t187", "t189"),
)
_TILE_OF_GROUP = {group: repeats[0] for repeats in _REPEATS for group in repeats}
_COLUMNS = ("image", "mask", "defect_class", "exposure", "tile_group", "split")


def read_magnetic_tile(root: str | Path) -> list[RawImage]:
    """Read both domains.

    Args:
        root: Folder of ``manifest.csv``, ``images`` and ``masks``.

    Raises:
        LabelError: If the manifest is missing or a value is not allowed.
    """
    folder = Path(root)
    table = Table(folder / "manifest.csv", _COLUMNS)
    images = []
    for line, (name, mask, defect, exposure, group, split) in table.records(_COLUMNS):
        if split not in _SPLITS:
            raise fail(table.path, line, f"split {split!r} must be train or val")
        domain = _DOMAIN_OF_EXPOSURE.get(parse_integer(table.path, line, "exposure", exposure))
        if domain is None:
            continue
        free = defect == _FREE
        if free == bool(mask):
            raise fail(table.path, line, f"defect_class {defect!r} with mask {mask!r}; only free tiles have none")
        images.append(
            RawImage(
                path=str((folder / name).absolute()),
                name=name,
                domain=domain,
                source=f"{table.path}, line {line}",
                split=_SPLITS[split],
                group=_TILE_OF_GROUP.get(group, group),
                mask=str((folder / mask).absolute()) if mask else None,
                mask_class=None if free else defect,
                is_healthy=True if free else None,
            )
        )
    return images
