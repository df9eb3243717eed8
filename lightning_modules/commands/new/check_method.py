"""The method learns, and a checkpoint builds it again."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from lightning_modules.commands.new.method import OwnMethod

DARK, BRIGHT = (torch.full((3, 16, 16), value, dtype=torch.uint8) for value in (0, 200))
ROWS: Any = [{"image": (DARK, BRIGHT)[row % 2], "label": row % 2} for row in range(16)]


@pytest.mark.filterwarnings("ignore:::lightning")  # what Lightning says of any training
def test_it_learns_dark_from_bright_and_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    L.seed_everything(0)
    method = OwnMethod(class_names=["dark", "bright"], learning_rate=0.02)
    trainer = L.Trainer(max_epochs=20, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.fit(method, DataLoader(ROWS, batch_size=8))
    assert trainer.test(method, DataLoader(ROWS, batch_size=8))[0]["test/accuracy"] == 1.0
    path = tmp_path / "method.ckpt"
    trainer.save_checkpoint(path)
    again = OwnMethod.load_from_checkpoint(path, weights_only=True)
    image = ROWS[0]["image"][None]
    assert torch.equal(again.eval()(image), method.eval()(image))
