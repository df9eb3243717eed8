"""Which pictures a training learns from is written down."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
from PIL import Image

from callbacks.face_diffusion.picture_lists import PictureLists
from datamodules import FaceDiffusionDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.tables.columns import Table
from lightning_modules import RewardTunedDiffusion

SMALL = {"image_size": 8, "channels": (8, 8), "attention_levels": (), "sampling_steps": 2}


def written(data: FaceDiffusionDataModule, folder: Path) -> dict[str, list[str]]:
    trainer = L.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        default_root_dir=folder, callbacks=[PictureLists()], limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(RewardTunedDiffusion(**SMALL), datamodule=data)
    return {file.name: Table(file, ["file"]).column("file") for file in sorted(folder.glob("*.csv"))}


def test_a_folder_that_is_shared_out_is_written_as_two_lists(tmp_path: Path) -> None:
    for number in range(10):
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
    data = FaceDiffusionDataModule(
        root=str(tmp_path), label_format="images", image_size=8, split=(0.6, 0.2, 0.2), batch_size=4, subset=4
    )
    lists = written(data, tmp_path / "run")
    assert sorted(lists) == ["held_out.csv", "learnt.csv"]
    assert len(lists["learnt.csv"]) == 4
    assert not set(lists["learnt.csv"]) & set(lists["held_out.csv"])
    assert all(Path(file).is_file() for own in lists.values() for file in own)


def test_drawn_faces_have_no_lists(tmp_path: Path) -> None:
    demo = FaceDemoSettings(train=8, val=4, test=4)
    assert written(FaceDiffusionDataModule(image_size=8, batch_size=4, demo=demo), tmp_path / "run") == {}
