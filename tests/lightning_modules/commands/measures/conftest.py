"""Folders of drawn faces, made once for all tests of `measure-generated`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.lightning_modules.commands.measures.drawn import coloured, draw_faces, save_faces

COPIES = 12  # of each kind


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 training, 150 held-out and 120 made faces: 10 % copies, then 10 % mirrored, 10 % cropped ones, others."""
    folder = tmp_path_factory.mktemp("measured")
    training, _ = draw_faces(150, 0)
    made, _ = draw_faces(10 * COPIES, 2)
    made[:COPIES] = training[:COPIES]
    made[COPIES : 2 * COPIES] = training[COPIES : 2 * COPIES].flip(-1)
    crops = training[2 * COPIES : 3 * COPIES, :, 2:-2, 2:-2].float()
    crops = functional.interpolate(crops, (32, 32), mode="bilinear", align_corners=False)
    made[2 * COPIES : 3 * COPIES] = crops.round().to(torch.uint8)
    save_faces(folder / "training", training)
    save_faces(folder / "held_out", draw_faces(150, 1)[0])
    save_faces(folder / "made", made)
    return folder


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue pictures: 120 for training (30 % blue), 60 made before (20 % blue) and 60 after (50 % blue)."""
    folder = tmp_path_factory.mktemp("coloured")
    for number, (name, pictures, blue) in enumerate((("training", 120, 36), ("before", 60, 12), ("after", 60, 30))):
        red = torch.arange(pictures) >= blue
        save_faces(folder / name, coloured(pictures, red, seed=number))
        rows = [f"{name}/{row:05d}.png,{int(red[row])},{int(not red[row])}" for row in range(pictures)]
        (folder / f"{name}.csv").write_text("\n".join(["file,Smiling,Bald", *rows]) + "\n")
    return folder
