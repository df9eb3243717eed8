"""The same picture under two names in two splits, which a test would not tell from an unseen one."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Final

from datamodules.common.fingerprint import file_sha256
from datamodules.faces.lists.records import FaceList, SplitName

_MOST: Final = 20_000  # files that are opened; of a list with more of equal size nothing is said
_BEGINNING: Final = 4096  # bytes by which most files of equal size differ
_log = logging.getLogger(__name__)


def warn_of_copies(faces: FaceList, splits: Sequence[SplitName]) -> int:
    """Name pictures whose bytes are those of a picture of another split, and count them.

    Only files of equal size are opened, and read whole where they begin alike.
    """

    def parted(rows: Iterable[int], key: Callable[[str], Hashable]) -> list[list[int]]:
        """Rows with equal keys that lie in several splits; a file that cannot be read is equal to none."""
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for row in rows:
            try:
                groups[key(faces.paths[row])].append(row)
            except OSError:
                continue
        return [group for group in groups.values() if len({splits[row] for row in group}) > 1]

    alike = parted(range(len(faces)), lambda path: Path(path).stat().st_size)
    if sum(map(len, alike)) > _MOST:
        return 0
    for key in (_beginning, file_sha256):
        alike = [part for group in alike for part in parted(group, key)]
    if not alike:
        return 0
    first = alike[0][0]
    other = next(row for row in alike[0] if splits[row] != splits[first])
    _log.warning(
        "warning: %d picture(s) are in two splits under different names, so that a test sees what was learnt: %s in %s "
        "is %s in %s; drop one of the two",
        len(alike), faces.sources[first], splits[first], faces.sources[other], splits[other],
    )  # fmt: skip
    return len(alike)


def _beginning(path: str) -> bytes:
    with Path(path).open("rb") as stream:
        return stream.read(_BEGINNING)
