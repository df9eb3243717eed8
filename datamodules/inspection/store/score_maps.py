"""Score maps beside a feedback store: a file for each image of a run."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import StoreError


def write_map(path: Path, score: NDArray[np.float16]) -> None:
    """Write one score map ``(h, w)``; readers see it whole or not at all.

    It is not synchronised to the disk, which would cost more than the network on small images: mining again makes
    a missing or broken one again.

    Raises:
        StoreError: If it cannot be written, on a full disk for example.
    """
    if zipfile.is_zipfile(path):
        return
    temporary = path.with_suffix(".part.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, score=score)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # a folder that is none, or cannot be written, holds nothing to remove
            temporary.unlink(missing_ok=True)
        raise StoreError(
            f"the score map {path} cannot be written ({error}): the store keeps what was mined so far; make room, and "
            "run the same command again"
        ) from error
