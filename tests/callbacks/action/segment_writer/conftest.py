"""Encoded videos with known segments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.video.writing.encode import encode_video

from .helpers import FPS, NAMES, PART, frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos with known segments, the truth beside them."""
    folder = tmp_path_factory.mktemp("clips")
    parts = {"kitchen": [0, 1, 2, 0], "кухня": [1, 0, 1]}
    (folder / "videos").mkdir()
    for name, colours in parts.items():
        encode_video(folder / "videos" / f"{name}.mp4", frames(colours), FPS, qp=10)
    database = {
        name: {
            "annotations": [
                {"segment": [place * PART / FPS, (place + 1) * PART / FPS], "label": NAMES[colour]}
                for place, colour in enumerate(colours)
            ]
        }
        for name, colours in parts.items()
    }
    (folder / "truth.json").write_text(json.dumps({"database": database}), encoding="utf-8")
    return folder
