"""A folder of small videos and lists about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

MakeClip = Callable[..., Path]


@pytest.fixture
def write() -> Callable[[Path, str], Path]:
    """Write a text file and return its path."""

    def write_text(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return write_text


@pytest.fixture
def folder(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Six readable videos ``0001.mp4`` .. ``0006.mp4`` of 24 frames, 96 x 128."""
    root = tmp_path / "videos"
    root.mkdir()
    for number in range(1, 7):
        shutil.copy(make_clip(f"{number:04}.mp4", phase=float(number)), root)
    return root


@pytest.fixture
def manifest(folder: Path, write: Callable[[Path, str], Path]) -> Path:
    """A manifest of the six videos with two references, patterns, regions and splits."""
    rows = ["file,mos,pattern,reference,split,x1,y1,x2,y2"]
    for number in range(1, 7):
        split = "train" if number <= 3 else "val" if number <= 5 else "test"
        region = "10,20,90,80" if number == 1 else ",,,"
        rows.append(f"{number:04}.mp4,{number / 2},{number % 3},r{split},{split},{region}")
    return write(folder / "manifest.csv", "\n".join(rows) + "\n")
