"""Fixtures of the data tests: small encoded clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.video.writing.encode import encode_video

MakeClip = Callable[..., Path]


def moving_picture(frames: int, height: int, width: int, phase: float = 0.0) -> NDArray[np.uint8]:
    """Smooth moving waves, uint8 (frames, height, width, 3); each frame differs from the others."""
    rows, columns = np.mgrid[:height, :width]
    pictures = []
    for time in range(frames):
        channels = [
            np.sin((columns + 5 * time) / 9 + phase),
            np.sin((rows - 3 * time) / 11 + 1 + phase),
            np.cos((rows + columns) / 13 + time / 4 + phase),
        ]
        pictures.append(127 + 100 * np.stack(channels, axis=-1))
    return np.stack(pictures).astype(np.uint8)


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """Encode a moving picture once per set of options; the name of the file can be chosen."""
    made: dict[tuple[object, ...], Path] = {}

    def make(
        name: str = "clip.mp4",
        frames: int = 24,
        height: int = 96,
        width: int = 128,
        phase: float = 0.0,
        **options: object,
    ) -> Path:
        key = (name, frames, height, width, phase, repr(sorted(options.items())))
        if key not in made:
            path = tmp_path_factory.mktemp("clips") / name
            settings = {"fps": 25, "qp": 20, "preset": "ultrafast", **options}
            encode_video(path, moving_picture(frames, height, width, phase), **settings)  # type: ignore[arg-type]
            made[key] = path
        return made[key]

    return make
