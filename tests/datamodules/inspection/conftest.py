"""Fixtures of the inspection data tests: a small labelled set of two domains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("scratch", "dent", "stain")
COUNTS = {("original", "train"): 6, ("new", "train"): 9, ("original", "val"): 2, ("new", "val"): 3}
COUNTS |= {("original", "test"): 2, ("new", "test"): 1}


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A manifest of 48 x 64 images; every part has one square defect 10 x 8 pixels, every fifth part none."""
    return make_parts(tmp_path / "parts")


def make_parts(folder: Path, height: int = 48, width: int = 64) -> Path:
    generator = np.random.default_rng(0)
    lines = ["image,mask,domain,split,group,healthy"]
    number = 0
    for (domain, split), count in COUNTS.items():
        for _ in range(count):
            name = f"{domain}_{split}_{number}"
            save(folder / f"images/{name}.png", generator.integers(0, 255, (height, width, 3), dtype=np.uint8))
            mask = np.zeros((height, width), dtype=np.uint8)
            healthy = number % 5 == 4
            if not healthy:
                top, left = int(generator.integers(0, height - 10)), int(generator.integers(0, width - 8))
                mask[top : top + 10, left : left + 8] = number % len(CLASSES) + 1
            save(folder / f"masks/{name}.png", mask)
            lines.append(f"images/{name}.png,masks/{name}.png,{domain},{split},{name},{int(healthy)}")
            number += 1
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
