"""The card says what is known of a run, and where nothing is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from lightning_modules.commands.export.card import card_text
from lightning_modules.commands.exported.manifest import read_manifest
from tests.lightning_modules.commands.export.conftest import Exported

Export = Callable[[str], Exported]


def test_of_a_checkpoint_alone_little_is_known(exported: Export) -> None:
    text = (exported("segmenter").folder / "model_card.md").read_text()
    assert "trained at commit | unknown" in text
    assert "Unknown: the checkpoint lies without the `config.yaml` of its run." in text
    assert "another line, light or camera" in text


def test_data_measures_commit_and_licences_of_a_run(exported: Export, tmp_path: Path) -> None:
    made, run = exported("faces"), tmp_path / "version_0"
    checkpoint = run / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(made.checkpoint, checkpoint)
    model = {"init_args": {"backbone_weights": "mine.pth", "weights": None, "rank_weight": 1}}
    data = {"class_path": "datamodules.FaceAttributeDataModule", "init_args": {"root": "/faces", "split": [0.7, 0.3]}}
    (run / "config.yaml").write_text(yaml.safe_dump({"model": model, "data": data}))
    (run / "run.json").write_text(json.dumps({"git": {"commit": "abc", "dirty": True}}))
    (run / "metrics.csv").write_text("epoch,test/a,test/a_low,test/a_high,val/a\n0,,,,0.5\n1,0.75,0.7,0.8,\n")
    (run / "model_card.md").write_text("# Title\n\nOf the test.\n\n## Groups\n")
    text = card_text(read_manifest(made.folder), checkpoint)
    assert "| trained at commit | abc, with changes that no commit holds |" in text
    assert "| root | /faces |" in text
    assert "| split | [0.7, 0.3] |" in text
    assert "| test/a | 0.75 | 0.7 | 0.8 |" in text
    assert "| backbone_weights | mine.pth | unknown: ask those who made it" in text
    assert "rank_weight" not in text
    assert text.endswith("Of the test.\n\n### Groups\n")
