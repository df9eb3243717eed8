"""What a run that goes on takes from the one before."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch.loggers import CSVLogger

from lightning_modules.commands.front import loggers, resume


def test_rows_of_the_steps_behind_go_on_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "metrics.csv").write_text("epoch,step,val/srcc\n0,1,0.5\n1,3,0.6\n2,5,0.7\n3,")
    logger = CSVLogger(str(tmp_path / "after"), name="", version="")
    loggers.go_on([logger], before, step=4)
    logger.log_metrics({"epoch": 2, "val/srcc": 0.8}, step=5)
    logger.save()
    written = (tmp_path / "after" / "metrics.csv").read_text().splitlines()
    assert written == ["epoch,step,val/srcc", "0,1,0.5", "1,3,0.6", "2,5,0.8"]


def test_the_newest_checkpoint_is_the_one_with_the_highest_step_that_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert resume.newest_checkpoint(tmp_path) is None
    for name, step in (("best", 7), ("last", 7), ("older", 3)):
        torch.save({"global_step": step}, folder / f"{name}.ckpt")
    assert resume.newest_checkpoint(tmp_path) == (folder / "last.ckpt", 7)
    (folder / "last.ckpt").write_bytes(b"torn")
    assert resume.newest_checkpoint(tmp_path) == (folder / "best.ckpt", 7)
